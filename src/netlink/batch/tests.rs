//! The bytes of a batch, as a reader of the kernel's headers finds them.

use super::*;
use rules::model::{EndpointAddr, Frontend, Protocol};
use rules::nft::ruleset::{
    ChainId, Element, Hook, HookKind, HookPoint, Key, Rule, Side, Statement, Value, Verdict,
};
use std::fmt::Write;

/// Sixteen bytes in a line, a message each after an empty one, in the byte order of the machine
/// where this was written.
fn dump(bytes: &[u8]) -> String {
    let mut text = String::new();
    let mut rest = bytes;
    while let Some(length) = rest.first_chunk() {
        let (message, next) = rest.split_at(u32::from_le_bytes(*length) as usize);
        for (at, line) in message.chunks(16).enumerate() {
            let hex: Vec<String> = line.iter().map(|byte| format!("{byte:02x}")).collect();
            let shown = |byte: &u8| match byte {
                b' '..=b'~' => char::from(*byte),
                _ => '.',
            };
            let ascii: String = line.iter().map(shown).collect();
            let _ = writeln!(text, "{:04x}  {:<47}  {ascii}", at * 16, hex.join(" "));
        }
        text.push('\n');
        rest = next;
    }
    text
}

fn transaction() -> Transaction {
    let chain = ChainId::Cluster {
        endpoints: 2,
        masquerade: false,
        nodeport: false,
    };
    let frontend = Frontend {
        address: Some([10, 96, 0, 1].into()),
        protocol: Protocol::Tcp,
        port: 443,
    };
    let backend = EndpointAddr {
        address: [10, 244, 1, 2].into(),
        port: 6443,
    };
    let element = |key, value| Element {
        key,
        value: Some(value),
        comment: Some("default/kubernetes:https".into()),
    };
    let base = Chain {
        id: ChainId::Fixed("nat-output"),
        hook: Some(Hook {
            kind: HookKind::Nat,
            point: HookPoint::Output,
            priority: -100,
        }),
        comment: "",
        rules: vec![Rule {
            statements: vec![Statement::FibLocal(Side::Source), Statement::Reject],
        }],
    };
    let goto = Value::Verdict(Verdict::Goto(chain.clone()));
    Transaction {
        family: Family::V4,
        ops: vec![
            Op::ReplaceTable,
            Op::AddSet {
                set: SetId::Endpoints,
                size: Some(3072),
            },
            Op::AddChain(base),
            Op::DeleteChain(chain),
            Op::AddElements(
                SetId::Services,
                vec![element(Key::Frontend(frontend), goto)],
            ),
            Op::AddElements(
                SetId::Endpoints,
                vec![element(Key::Indexed(frontend, 1), Value::Endpoint(backend))],
            ),
        ],
    }
}

#[cfg(target_endian = "little")]
#[test]
fn a_batch_has_these_bytes() {
    let batch = Batch::new(&transaction(), 1, Some(7));
    let bytes = batch.into_bytes().expect("nothing is too long");
    insta::assert_snapshot!(dump(&bytes));
}

#[test]
fn a_message_that_cannot_be_written_is_refused_by_its_number() {
    use crate::netlink::refusal::unwritten;
    use rules::Cause;
    use rules::nft::Object;

    let mut transaction = transaction();
    // No kernel takes so many, and no attribute has room for them.
    let drops = vec![Statement::Verdict(Verdict::Drop); 2000];
    let long = Chain {
        id: ChainId::Fixed("services"),
        hook: None,
        comment: "",
        rules: vec![Rule { statements: drops }],
    };
    transaction.ops.push(Op::AddChain(long));
    let batch = Batch::new(&transaction, 1, None);
    let (sequence, error) = batch.messages.failed().expect("it is too long");
    let refusal = unwritten(&transaction, &batch, sequence, error);
    assert_eq!(refusal.cause, Cause::Invalid);
    assert_eq!(refusal.refused, [Object::Chain(ChainId::Fixed("services"))]);
    assert_eq!(
        refusal.to_string(),
        "ip add chain services: an attribute of type 4 with 96004 bytes, of which there can be 65535"
    );
    assert_eq!(batch.into_bytes(), Err(error));
}
