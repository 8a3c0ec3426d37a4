//! Netlink's datagrams (`linux/netlink.h`).

const HEADER: usize = 16;
const NLMSG_ERROR: u16 = 2;
const NLM_F_MULTI: u16 = 2;
const NLM_F_DUMP_INTR: u16 = 0x10;
/// `NFNL_MSG_BATCH_BEGIN` (`linux/netfilter/nfnetlink.h`).
const BATCH_BEGIN: u16 = 16;

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let number = bytes.get(at..at + 2)?;
    Some(u16::from_ne_bytes(number.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let number = bytes.get(at..at + 4)?;
    Some(u32::from_ne_bytes(number.try_into().ok()?))
}

/// It is a transaction.
pub(crate) fn is_batch(bytes: &[u8]) -> bool {
    u16_at(bytes, 4) == Some(BATCH_BEGIN)
}

/// It is a part of a list.
pub(crate) fn is_list(bytes: &[u8]) -> bool {
    u16_at(bytes, 6).is_some_and(|flags| flags & NLM_F_MULTI != 0)
}

/// Says in each of its messages that the list changed while it was read.
pub(crate) fn interrupt(bytes: &mut [u8]) {
    let mut at = 0;
    while let (Some(length), Some(flags)) = (u32_at(bytes, at), u16_at(bytes, at + 6)) {
        bytes[at + 6..at + 8].copy_from_slice(&(flags | NLM_F_DUMP_INTR).to_ne_bytes());
        let Some(next) = usize::try_from(length)
            .ok()
            .filter(|length| *length >= HEADER)
        else {
            return;
        };
        at += next.next_multiple_of(4);
    }
}

/// The refusal of the request that begins with `header`, as the kernel words it; its length.
pub(crate) fn refusal(header: &[u8], errno: i32, out: &mut [u8]) -> usize {
    const LENGTH: usize = HEADER + 4 + HEADER;
    let mut message = Vec::with_capacity(LENGTH);
    message.extend_from_slice(&36u32.to_ne_bytes());
    message.extend_from_slice(&NLMSG_ERROR.to_ne_bytes());
    message.extend_from_slice(&0u16.to_ne_bytes());
    message.extend_from_slice(header.get(8..12).unwrap_or(&[0; 4]));
    message.extend_from_slice(&0u32.to_ne_bytes());
    message.extend_from_slice(&(-errno).to_ne_bytes());
    message.extend_from_slice(header);
    message.resize(LENGTH, 0);
    let length = LENGTH.min(out.len());
    out[..length].copy_from_slice(&message[..length]);
    length
}
