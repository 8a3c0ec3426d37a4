//! What the kernel lacks, if it refuses a rule or chain because of that: the message has the
//! name of the part, and the answer says where in the message it is.

use nft_wire::nf_tables::{self, HEADER, nfta};
use nft_wire::{Reply, attribute, attributes, messages, read_text};

/// `struct nlmsghdr` and `struct nfgenmsg`.
const HEADERS: usize = 20;
const ATTRIBUTE_HEADER: usize = 4;

/// A line that names it, if the answer is one of those that tell of something missing.
pub(super) fn missing(batch: &[u8], reply: &Reply) -> Option<String> {
    if !matches!(
        reply.errno,
        libc::ENOENT | libc::EOPNOTSUPP | libc::EAFNOSUPPORT | libc::EPROTONOSUPPORT
    ) {
        return None;
    }
    let message = messages(batch).find(|message| message.sequence == reply.sequence)?;
    let body = message.payload.get(HEADER..)?;
    let offset = reply.offset?.checked_sub(HEADERS)?;
    let (kind, _) = nf_tables::kind_of(message)?;
    match kind {
        libc::NFT_MSG_NEWCHAIN => {
            let (kind, value) = attribute_at(body, offset)?;
            let name = read_text(value).filter(|_| kind == nfta::CHAIN_TYPE)?;
            Some(format!(
                "this kernel has no chains of type {name} (module nft_chain_{name})"
            ))
        }
        libc::NFT_MSG_NEWRULE => {
            let (kind, list) = attribute_at(body, offset)?;
            let start = list.as_ptr() as usize - body.as_ptr() as usize;
            let (_, expression) = attribute_at(list, offset.checked_sub(start)?)
                .filter(|_| kind == nfta::RULE_EXPRESSIONS)?;
            let name = read_text(attribute(expression, nfta::EXPR_NAME)?)?;
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
        (start - ATTRIBUTE_HEADER..start + value.len().max(1)).contains(&offset)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use nft_wire::Writer;

    fn reply(sequence: u32, errno: i32, offset: usize) -> Reply {
        Reply {
            sequence,
            errno,
            message: None,
            offset: Some(offset),
        }
    }

    /// A message of one kind, and where in it some text is.
    fn batch(kind: i32, needle: &str, write: impl FnOnce(&mut Writer)) -> (Vec<u8>, usize) {
        let mut out = Writer::new();
        nf_tables::message(&mut out, 2, kind, 0, 7, |out| {
            out.text(1, "kube-proxy");
            write(out);
        });
        let out = out.finish().expect("a short message");
        let mut windows = out.windows(needle.len());
        let at = windows.position(|window| window == needle.as_bytes());
        (out, at.expect("it is there"))
    }

    #[test]
    fn the_part_that_is_missing_is_named() {
        let (chain, at) = batch(libc::NFT_MSG_NEWCHAIN, "nat\0", |out| {
            out.text(3, "nat-prerouting");
            out.text(7, "nat");
        });
        let found = missing(&chain, &reply(7, libc::ENOENT, at - 4));
        let expected = "this kernel has no chains of type nat (module nft_chain_nat)";
        assert_eq!(found.as_deref(), Some(expected));
        let expression = |out: &mut Writer, name: &str| {
            out.nested(1, |out| {
                out.text(1, name);
                out.nested(2, |out| out.attribute(1, &[0; 4]));
            });
        };
        let (rule, at) = batch(libc::NFT_MSG_NEWRULE, "fib\0", |out| {
            out.text(2, "services");
            out.nested(4, |out| {
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
