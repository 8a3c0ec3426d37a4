//! `linux/netfilter/nfnetlink_conntrack.h`: constants that libc lacks.

pub(super) const CT_NEW: u16 = 0;
pub(super) const CT_GET: u16 = 1;
pub(super) const CT_DELETE: u16 = 2;
pub(super) const CT_GET_STATS: u16 = 5;
pub(super) const TUPLE_ORIG: u16 = 1;
pub(super) const TUPLE_REPLY: u16 = 2;
pub(super) const STATUS: u16 = 3;
pub(super) const PROTOINFO: u16 = 4;
pub(super) const COUNTERS_ORIG: u16 = 9;
pub(super) const COUNTERS_REPLY: u16 = 10;
pub(super) const ID: u16 = 12;
pub(super) const ZONE: u16 = 18;
pub(super) const FILTER: u16 = 25;
pub(super) const STATUS_MASK: u16 = 26;
pub(super) const FILTER_ORIG_FLAGS: u16 = 1;
pub(super) const TUPLE_IP: u16 = 1;
pub(super) const TUPLE_PROTO: u16 = 2;
pub(super) const TUPLE_ZONE: u16 = 3;
pub(super) const IP_V4_SRC: u16 = 1;
pub(super) const IP_V4_DST: u16 = 2;
pub(super) const IP_V6_SRC: u16 = 3;
pub(super) const IP_V6_DST: u16 = 4;
pub(super) const PROTO_NUM: u16 = 1;
pub(super) const PROTO_SRC_PORT: u16 = 2;
pub(super) const PROTO_DST_PORT: u16 = 3;
pub(super) const PROTOINFO_TCP: u16 = 1;
pub(super) const PROTOINFO_SCTP: u16 = 3;
/// In both of them.
pub(super) const PROTOINFO_STATE: u16 = 1;
pub(super) const COUNTERS_PACKETS: u16 = 1;
pub(super) const COUNTERS_BYTES: u16 = 2;
pub(super) const STATS_GLOBAL_ENTRIES: u16 = 1;
pub(super) const STATS_GLOBAL_MAX_ENTRIES: u16 = 2;
/// `IPS_DST_NAT`: its destination was translated.
pub(super) const STATUS_DST_NAT: u32 = 1 << 5;
/// `TCP_CONNTRACK_TIME_WAIT` and `TCP_CONNTRACK_CLOSE`.
pub(super) const TCP_ENDED: [u8; 2] = [7, 8];
/// `SCTP_CONNTRACK_CLOSED`.
pub(super) const SCTP_CLOSED: u8 = 1;
/// What a filter compares (`net/netfilter/nf_internals.h`).
pub(super) const COMPARE_IP_DST: u32 = 1 << 1;
pub(super) const COMPARE_PROTO_NUM: u32 = 1 << 3;
pub(super) const COMPARE_PROTO_DST_PORT: u32 = 1 << 5;
