//! nftables over netlink: typed transactions become one batch of messages that
//! the kernel takes whole or refuses whole. And conntrack, whose flows outlive
//! the rules that they came by, and the addresses of the node's interfaces.
//!
//! All messages are written here, without a C library: what is needed of one is
//! a list of attribute numbers, and the daemon links statically without it.
//!
//! This is the only module with `unsafe`: two system calls that no crate offers
//! without.
#![allow(unsafe_code)]

mod attributes;
mod batch;
mod clients;
mod conntrack;
mod elements;
pub mod interfaces;
pub mod ipvs;
pub mod leftovers;
mod objects;
mod socket;
mod sources;
mod statements;
mod subsystem;
mod userdata;

use batch::{Batch, Subject};
pub use conntrack::Conntrack;
use elements::About;
use rules::model::Family;
use rules::ruleset::{Element, Key, Op, SetId, Transaction};
use rules::{Kernel, Refusal, RememberedClient, print};
use socket::{Reply, Socket};
use std::io;
use std::ops::Range;

/// The kernel's nf_tables, in the network namespace that it was opened in.
pub struct Nftables {
    socket: Socket,
    sent_bytes: usize,
}

/// Why nftables cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The process lacks CAP_NET_ADMIN.
    #[error("nftables: not permitted; run as root or with the capability NET_ADMIN")]
    NotPermitted,
    /// The kernel has no nf_tables.
    #[error("nftables: this kernel has no nf_tables ({0})")]
    NotSupported(io::Error),
    /// There is no netlink socket to be had.
    #[error("nftables: opening a netlink socket: {0}")]
    Socket(io::Error),
}

impl Nftables {
    /// Opens a socket in the calling thread's network namespace and asks the
    /// kernel whether it would take transactions.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open() -> Result<Self, OpenError> {
        let mut socket = Socket::open().map_err(OpenError::Socket)?;
        let probe = batch::probe();
        socket.send(&probe).map_err(|error| match error.kind() {
            // Already the buffer's size is a matter of that capability.
            io::ErrorKind::PermissionDenied => OpenError::NotPermitted,
            _ => OpenError::Socket(error),
        })?;
        for reply in socket.replies().map_err(OpenError::Socket)? {
            match reply.errno {
                0 => {}
                libc::EPERM | libc::EACCES => return Err(OpenError::NotPermitted),
                errno => {
                    return Err(OpenError::NotSupported(io::Error::from_raw_os_error(errno)));
                }
            }
        }
        Ok(Self {
            socket,
            sent_bytes: 0,
        })
    }

    /// How many bytes the last transaction took.
    pub fn sent_bytes(&self) -> usize {
        self.sent_bytes
    }
}

/// The messages of a transaction as [`Nftables`] sends them, for measuring what
/// the kernel alone takes.
pub fn encode(transaction: &Transaction) -> Vec<u8> {
    Batch::new(transaction).into_bytes()
}

impl Kernel for Nftables {
    fn apply(&mut self, transaction: &Transaction) -> Result<(), Refusal> {
        let family = transaction.family;
        let refused = |attempted: &str, reason: String| Refusal {
            family: family.nft(),
            attempted: attempted.to_owned(),
            reason,
        };
        let batch = Batch::new(transaction);
        self.sent_bytes = batch.bytes().len();
        let sending = format!("sending a transaction of {} bytes", self.sent_bytes);
        self.socket
            .send(batch.bytes())
            .map_err(|error| refused(&sending, describe(&error)))?;
        let replies = self
            .socket
            .replies()
            .map_err(|error| refused("reading the answer", describe(&error)))?;
        if let Some(error) = replies.iter().find(|reply| reply.errno != 0) {
            let attempted = attempted(transaction, &batch, error);
            return Err(refused(&attempted, reason(error)));
        }
        if replies
            .iter()
            .any(|reply| reply.sequence == batch.last_sequence())
        {
            Ok(())
        } else {
            Err(refused(
                "waiting for the kernel",
                "it did not acknowledge the transaction".into(),
            ))
        }
    }

    fn clients(&mut self, family: Family) -> io::Result<Vec<RememberedClient>> {
        clients::list(&mut self.socket, family)
    }
}

fn reason(reply: &Reply) -> String {
    let error = describe(&io::Error::from_raw_os_error(reply.errno));
    match &reply.message {
        Some(message) => format!("{error}: {message}"),
        None => error,
    }
}

/// An error with its symbolic name, which people search for.
fn describe(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(number) => {
            let errno = nix::errno::Errno::from_raw(number);
            format!("{} ({errno:?})", errno.desc())
        }
        None => error.to_string(),
    }
}

/// The step that a reply is about, down to the element where the kernel says so.
fn attempted(transaction: &Transaction, batch: &Batch, reply: &Reply) -> String {
    let Some(Subject { step, elements }) = batch.find(reply.sequence) else {
        return "committing the transaction".to_owned();
    };
    let family = transaction.family;
    match &transaction.ops[*step] {
        Op::ReplaceTable => "replace table kube-proxy".to_owned(),
        Op::AddSet { set, .. } => format!("add set {set}"),
        Op::AddAffinitySet(set) => format!("add set {set}"),
        Op::AddSourceSet(set) => format!("add set {set}"),
        Op::DeleteAffinitySet(set) => format!("delete set {set}"),
        Op::DeleteSourceSet(set) => format!("delete set {set}"),
        Op::AddClients(set, clients) => format!("add {} clients to set {set}", clients.len()),
        Op::AddChain(chain) => format!("add chain {}", chain.id),
        Op::RefillChain(chain) => format!("refill chain {}", chain.id),
        Op::DeleteChain(chain) => format!("delete chain {chain}"),
        own @ (Op::AddElements(..) | Op::AddElementsOf(..) | Op::DeleteElements(..)) => {
            attempted_element(family, own, elements.clone(), reply.offset)
        }
    }
}

/// Which of a message's elements the kernel refused, if it says where in the
/// message it is.
fn attempted_element(
    family: Family,
    op: &Op,
    subject: Option<(SetId, Range<usize>)>,
    offset: Option<usize>,
) -> String {
    let Some((set, range)) = subject else {
        return String::new();
    };
    let add = !matches!(op, Op::DeleteElements(..));
    let verb = if add { "add" } else { "delete" };
    let all = op.elements().into_iter();
    let of_set = all.filter_map(|(own, element)| (own == set).then_some(element));
    let own: Vec<Element> = of_set.skip(range.start).take(range.len()).collect();
    let at = match own.len() {
        // Without a place, a single element is the one all the same.
        1 => Some(0),
        _ => {
            let about = About { family, set, add };
            offset.and_then(|offset| elements::element_at(about, &own, offset))
        }
    };
    match at.and_then(|at| own.get(at)) {
        Some(element) => format!("{verb} element {} in {set}", print::element(element)),
        None => format!("{verb} {} elements in {set}", own.len()),
    }
}

/// Whether a key belongs to the family; the planner never mixes them.
fn is_of(family: Family, key: &Key) -> bool {
    let address = match key {
        Key::Address(address) => Some(*address),
        Key::Frontend(frontend) | Key::Indexed(frontend, _) => frontend.address,
        Key::Hairpin(backend, _) => Some(backend.address),
    };
    address.is_none_or(|address| Family::of(address) == family)
}
