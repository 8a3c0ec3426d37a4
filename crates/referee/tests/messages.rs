//! Every kind of message that is sent, as libnftnl reads it and as libnftnl writes it.

use kube_proxy::netlink::encode;
use kube_proxy::settings::Settings;
use kube_proxy::world::{self, Loaded, Nodes};
use nft_wire::nf_tables::Set;
use referee::{Attribute, Verdict, attributes, rewrite, write_by_name};
use rules::model::{EndpointAddr, Family, ObjectName, Protocol};
use rules::nft::ruleset::{
    AffinitySet, Chain, ChainId, Client, Counter, Element, Header, Hook, HookKind, HookPoint, Key,
    Op, Pick, PortName, Rule, SetId, Side, SourceSet, Statement, Transaction, Verdict as Goes,
};
use std::collections::BTreeSet;
use std::path::Path;

const FRONTEND: &[Header] = &[
    Header::Address(Side::Destination),
    Header::Protocol,
    Header::Port,
];

fn address(family: Family, last: u8) -> std::net::IpAddr {
    match family {
        Family::V4 => [10, 244, 0, last].into(),
        Family::V6 => [0xfd00, 0x10, 0x244, 0, 0, 0, 0, u16::from(last)].into(),
    }
}

fn affinity_set(family: Family) -> AffinitySet {
    AffinitySet {
        port: PortName::new(&ObjectName::new("default", "web"), Protocol::Tcp, 80),
        backend: EndpointAddr {
            address: address(family, 5),
            port: 8080,
        },
    }
}

/// More than stand in a rule.
fn sources(family: Family) -> SourceSet {
    let ranges = (0..20).map(|n| address(family, 2 * n).into());
    SourceSet::new(&ranges.collect::<Vec<_>>())
}

/// Every statement, in each form that it has.
fn statements(family: Family) -> Vec<Statement> {
    let cluster = ChainId::Cluster {
        endpoints: 2,
        masquerade: false,
        nodeport: false,
    };
    let prefix = |text: &str| text.parse().expect("a range");
    let (range, single) = match family {
        Family::V4 => ("10.0.0.0/9", "10.0.0.1/32"),
        Family::V6 => ("fd00:10::/47", "fd00:10::1/128"),
    };
    let both = [false, true];
    let sides = [Side::Source, Side::Destination];
    let mut all = vec![
        Statement::CtStateNew,
        Statement::CtStateInvalid,
        Statement::CtStatusDnat,
        Statement::NotFrom(sources(family)),
        Statement::InAffinity(affinity_set(family)),
        Statement::UpdateAffinity {
            set: affinity_set(family),
            seconds: 10_800,
        },
        Statement::Count(Counter::WrongPort),
        Statement::CountIn {
            key: FRONTEND,
            set: SetId::ServiceConnections,
        },
        Statement::OneIn(3),
        Statement::VerdictMap {
            key: FRONTEND,
            map: SetId::Services,
        },
        Statement::MarkHas(1 << 14),
        Statement::MarkOr(1 << 14),
        Statement::MarkXor(1 << 14),
        Statement::Masquerade,
        Statement::Reject,
        Statement::Dnat {
            key: FRONTEND,
            modulus: 3,
            map: SetId::Endpoints,
        },
        Statement::DnatTo {
            protocol: Protocol::Sctp,
            backend: affinity_set(family).backend,
        },
        Statement::Verdict(Goes::Drop),
        Statement::Verdict(Goes::Goto(cluster.clone())),
        Statement::Verdict(Goes::Jump(cluster)),
    ];
    all.extend(sides.map(Statement::FibLocal));
    for (negated, wildcard) in both
        .into_iter()
        .flat_map(|negated| both.map(|wildcard| (negated, wildcard)))
    {
        let name = "cni0".into();
        all.push(Statement::InputInterface {
            name,
            wildcard,
            negated,
        });
        all.push(Statement::InSet {
            key: FRONTEND,
            set: SetId::ClusterIps,
            negated,
        });
        for prefix in [prefix(range), prefix(single)] {
            all.extend(sides.map(|side| Statement::Address {
                side,
                prefix,
                negated,
            }));
        }
    }
    for (pick, first) in [(Pick::Random, 1), (Pick::Source, 20_001)] {
        all.push(Statement::DnatListed {
            protocol: Protocol::Udp,
            pick,
            count: 500,
            first,
        });
    }
    all
}

/// Every step, and every statement in a rule of its own.
fn everything(family: Family) -> Transaction {
    let hook = Some(Hook {
        kind: HookKind::Filter,
        point: HookPoint::Prerouting,
        priority: -110,
    });
    let chain = |hook, rules: Vec<Statement>| Chain {
        id: ChainId::Fixed("services"),
        hook,
        comment: "a comment",
        rules: rules
            .into_iter()
            .map(|statement| Rule {
                statements: vec![statement],
            })
            .collect(),
    };
    let sized = SetId::ALL
        .into_iter()
        .zip([None, Some(3 << 10)].into_iter().cycle());
    let client = Client {
        address: address(family, 9),
        timeout: 10_800_000,
        remaining: 10_799_000,
    };
    let element = Element {
        key: Key::Address(address(family, 1)),
        value: None,
        comment: Some("default/web".into()),
    };
    let mut ops = vec![Op::ReplaceTable];
    ops.extend(Counter::ALL.map(Op::AddCounter));
    ops.extend(sized.map(|(set, size)| Op::AddSet { set, size }));
    ops.extend([
        Op::AddAffinitySet(affinity_set(family)),
        Op::AddClients(affinity_set(family), vec![client]),
        Op::AddSourceSet(sources(family)),
        Op::AddChain(chain(hook, statements(family))),
        Op::RefillChain(chain(None, statements(family))),
        Op::AddElements(SetId::ClusterIps, vec![element.clone()]),
        Op::DeleteElements(SetId::ClusterIps, vec![element]),
        Op::DeleteChain(ChainId::Fixed("services")),
        Op::DeleteAffinitySet(affinity_set(family)),
        Op::DeleteSourceSet(sources(family)),
    ]);
    Transaction { family, ops }
}

/// A cluster's table with most features, as a first sync makes it.
fn cluster(family: Family) -> Transaction {
    let directory = std::env::temp_dir().join(format!("referee-{}-{family}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("a directory");
    let objects = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/cluster.yaml");
    std::fs::copy(objects, directory.join("cluster.yaml")).expect("a copy");
    let manifests = format!("--manifests={}", directory.display());
    let words = [
        "--hostname-override=n1",
        "--proxy-mode=nftables",
        &manifests,
    ];
    let settings = Settings::from_flags(&words).expect("valid flags");
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_all().build().expect("a runtime");
    let loaded = runtime.block_on(world::load(&settings, Nodes::Own));
    let Loaded { world, .. } = loaded.expect("objects");
    let transaction = world.here().ruleset(family).expect("a first sync");
    std::fs::remove_dir_all(&directory).expect("it is ours");
    transaction
}

/// The messages of a transaction, marks left out.
fn messages(transaction: &Transaction) -> Vec<Vec<u8>> {
    let bytes = encode(transaction).expect("nothing is too long");
    let mut rest = &bytes[..];
    let mut all = Vec::new();
    while let Some(length) = rest.first_chunk() {
        let (message, next) = rest.split_at(u32::from_ne_bytes(*length) as usize);
        all.push(message.to_vec());
        rest = next;
    }
    all.retain(|message| rewrite(message) != Verdict::Mark);
    all
}

/// The attributes of a message, behind both headers.
fn sent(message: &[u8]) -> Vec<Attribute> {
    attributes(&message[20..])
}

#[test]
fn libnftnl_reads_all_that_we_send_and_writes_the_same_again() {
    for family in Family::ALL {
        for transaction in [everything(family), cluster(family)] {
            let all = messages(&transaction);
            assert!(all.len() > 50, "{} messages", all.len());
            for message in &all {
                assert_eq!(rewrite(message), Verdict::Written(sent(message)));
            }
        }
    }
}

#[test]
fn libnftnl_writes_the_same_of_the_same_objects() {
    let mut kinds = BTreeSet::new();
    for family in Family::ALL {
        for transaction in [everything(family), cluster(family)] {
            for message in messages(&transaction) {
                let by_name = write_by_name(&message);
                assert_eq!(by_name, Verdict::Written(sent(&message)));
                kinds.insert(message[4]);
            }
        }
    }
    // Tables, chains, rules, sets and elements: put in and taken out; and counters put in.
    assert_eq!(
        kinds.into_iter().collect::<Vec<_>>(),
        [0, 2, 3, 5, 6, 8, 9, 11, 12, 14, 18]
    );
}

/// Where the attributes of a message are, in it and in one another: headers, and the contents of
/// those that hold bytes.
fn places(bytes: &[u8], from: usize, headers: &mut Vec<usize>, contents: &mut Vec<usize>) {
    let mut at = from;
    while let Some(header) = bytes.get(at..at + 4) {
        let length = usize::from(u16::from_ne_bytes([header[0], header[1]]));
        headers.push(at);
        match header[3] & 0x80 {
            0 => contents.extend(at + 4..at + length),
            _ => places(&bytes[..at + length], at + 4, headers, contents),
        }
        at += length.next_multiple_of(4);
    }
}

/// If we wrote any byte otherwise than the library, the tests above would fail.
#[test]
fn a_wrong_byte_is_found() {
    for family in Family::ALL {
        let mut wrong = 0;
        for message in messages(&everything(family)) {
            let expected = write_by_name(&message);
            let (mut headers, mut contents) = (Vec::new(), Vec::new());
            places(&message, 20, &mut headers, &mut contents);
            let types = headers.iter().map(|at| at + 2);
            for at in types.chain(contents) {
                let mut other = message.clone();
                other[at] ^= 1;
                let found = Verdict::Written(sent(&other)) != expected;
                assert!(found, "byte {at} of {message:02x?}");
                wrong += 1;
            }
        }
        assert!(wrong > 5000, "{wrong}");
    }
}

/// And the library does not read what it does not know. Rules and counters, a set's too, are left
/// out: it does not survive one that lacks what an expression or an object has to have.
#[test]
fn a_wrong_type_is_not_read() {
    const NEW_RULE: u8 = 6;
    const NEW_OBJECT: u8 = 18;
    for family in Family::ALL {
        let mut wrong = 0;
        for message in messages(&everything(family)) {
            let counts = Set::read(&message[20..]).is_some_and(|set| set.expression.is_some());
            if matches!(message[4], NEW_RULE | NEW_OBJECT) || counts {
                continue;
            }
            let (mut headers, mut contents) = (Vec::new(), Vec::new());
            places(&message, 20, &mut headers, &mut contents);
            for at in headers {
                let mut other = message.clone();
                other[at + 2] ^= 0x20;
                let is_read = rewrite(&other) == Verdict::Written(sent(&other));
                assert!(!is_read, "byte {} of {message:02x?}", at + 2);
                wrong += 1;
            }
        }
        assert!(wrong > 300, "{wrong}");
    }
}
