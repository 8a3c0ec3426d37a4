//! What the kernel lacks, if it refuses a rule or chain because of that: the message has the
//! name of the part, and the answer says where in the message it is.

use super::attributes::{attributes, messages, read_text};
use super::socket::Reply;

mod kernel {
    pub(super) const CHAIN_TYPE: u16 = 7;
    pub(super) const RULE_EXPRESSIONS: u16 = 4;
    pub(super) const EXPRESSION_NAME: u16 = 1;
    /// `struct nlmsghdr` and `struct nfgenmsg`.
    pub(super) const HEADERS: usize = 20;
    pub(super) const HEADER: usize = 4;
}

/// A line that names it, if the answer is one of those that tell of something missing.
pub(super) fn missing(batch: &[u8], reply: &Reply) -> Option<String> {
    if !matches!(
        reply.errno,
        libc::ENOENT | libc::EOPNOTSUPP | libc::EAFNOSUPPORT | libc::EPROTONOSUPPORT
    ) {
        return None;
    }
    let message = messages(batch).find(|own| own.sequence == reply.sequence)?;
    let body = message.payload.get(kernel::HEADER..)?;
    let offset = reply.offset?.checked_sub(kernel::HEADERS)?;
    let kind = message.kind.to_be_bytes()[1];
    match i32::from(kind) {
        libc::NFT_MSG_NEWCHAIN => {
            let (kind, value) = attribute_at(body, offset)?;
            let name = read_text(value).filter(|_| kind == kernel::CHAIN_TYPE)?;
            Some(format!(
                "this kernel has no chains of type {name} (module nft_chain_{name})"
            ))
        }
        libc::NFT_MSG_NEWRULE => {
            let (kind, list) = attribute_at(body, offset)?;
            let start = list.as_ptr() as usize - body.as_ptr() as usize;
            let (_, expression) = attribute_at(list, offset.checked_sub(start)?)
                .filter(|_| kind == kernel::RULE_EXPRESSIONS)?;
            let mut parts = attributes(expression);
            let (_, name) = parts.find(|(kind, _)| *kind == kernel::EXPRESSION_NAME)?;
            let name = read_text(name)?;
            Some(format!(
                "this kernel has no nf_tables expression {name} (module nft_{name})"
            ))
        }
        _ => None,
    }
}

/// The attribute that an offset is in, header included.
fn attribute_at(body: &[u8], offset: usize) -> Option<(u16, &[u8])> {
    attributes(body).find(|(_, value)| {
        let start = value.as_ptr() as usize - body.as_ptr() as usize;
        (start - kernel::HEADER..start + value.len().max(1)).contains(&offset)
    })
}

#[cfg(test)]
mod tests {
    use super::super::attributes::{attribute, message, nested, text};
    use super::*;

    fn reply(sequence: u32, errno: i32, offset: usize) -> Reply {
        Reply {
            sequence,
            errno,
            message: None,
            offset: Some(offset),
        }
    }

    /// A message of one kind, and where in it some text is.
    fn batch(kind: i32, needle: &str, write: impl FnOnce(&mut Vec<u8>)) -> (Vec<u8>, usize) {
        let mut out = Vec::new();
        let kind = u16::try_from((libc::NFNL_SUBSYS_NFTABLES << 8) | kind).expect("16 bits");
        message(&mut out, kind, 0, 7, |out| {
            out.extend_from_slice(&[2, 0, 0, 0]);
            text(out, 1, "kube-proxy");
            write(out);
        });
        let mut windows = out.windows(needle.len());
        let at = windows.position(|own| own == needle.as_bytes());
        (out, at.expect("it is there"))
    }

    #[test]
    fn the_part_that_is_missing_is_named() {
        let (chain, at) = batch(libc::NFT_MSG_NEWCHAIN, "nat\0", |out| {
            text(out, 3, "nat-prerouting");
            text(out, 7, "nat");
        });
        let found = missing(&chain, &reply(7, libc::ENOENT, at - 4));
        let expected = "this kernel has no chains of type nat (module nft_chain_nat)";
        assert_eq!(found.as_deref(), Some(expected));
        let expression = |out: &mut Vec<u8>, name: &str| {
            nested(out, 1, |out| {
                text(out, 1, name);
                nested(out, 2, |out| attribute(out, 1, &[0; 4]));
            });
        };
        let (rule, at) = batch(libc::NFT_MSG_NEWRULE, "fib\0", |out| {
            text(out, 2, "services");
            nested(out, 4, |out| {
                expression(out, "ct");
                expression(out, "fib");
            });
        });
        // The kernel points at the expression, whose name is its first attribute.
        let found = missing(&rule, &reply(7, libc::ENOENT, at - 8));
        let expected = "this kernel has no nf_tables expression fib (module nft_fib)";
        assert_eq!(found.as_deref(), Some(expected));
        for offset in 0..200 {
            missing(&rule, &reply(7, libc::EOPNOTSUPP, offset));
            assert_eq!(missing(&rule, &reply(7, libc::EINVAL, offset)), None);
            assert_eq!(missing(&rule, &reply(8, libc::ENOENT, offset)), None);
        }
    }
}
