//! The machine on which this runs: is it the node that is asked about, and what does its kernel
//! hold.

use crate::inspect::Facts;
use crate::netlink::dump::{Foreign, Reader};
use crate::netlink::interfaces;
use crate::report::Source;
use crate::settings::Settings;
use rules::model::Family;
use rules::nft::explain::{Asked, Excerpt, Look, excerpt};
use rules::nft::ruleset::{Chain, ChainId, Element, Key, SetId};
use std::io;
use std::net::IpAddr;

/// What a report calls it.
const KERNEL: &str = "kernel";
/// The table is read again so often if the ruleset changed meanwhile.
const ATTEMPTS: usize = 5;

/// This machine.
pub(super) struct Here {
    /// Its addresses, if it is the node.
    addresses: Option<Vec<IpAddr>>,
    /// Why its kernel is not looked at.
    error: Option<String>,
}

/// What the kernel holds of some frontends.
pub(super) struct Held {
    pub(super) excerpt: Excerpt,
    /// Why the table as a whole is none of ours, in a sentence.
    pub(super) other: Option<String>,
    /// What somebody else put into the chains.
    pub(super) foreign: Vec<Foreign>,
}

impl Here {
    /// It is the node if one of the Node's addresses is on one of its interfaces: on another machine
    /// the kernel's table is about something else.
    pub(super) fn look(settings: &Settings, facts: &Facts) -> Self {
        let name = &settings.node_name;
        let elsewhere = |error: String| Self {
            addresses: None,
            error: Some(error),
        };
        let addresses = match interfaces::local() {
            Ok(addresses) => addresses,
            Err(error) => return elsewhere(format!("the interfaces cannot be listed: {error}")),
        };
        let nodes = facts.nodes.iter().flatten();
        let node = { nodes }.find(|node| node.metadata.name.as_deref() == Some(name));
        let Some(node) = node else {
            return elsewhere(format!(
                "there is no Node {name} (--hostname-override names another), so it is not known \
                 whether this machine is the node"
            ));
        };
        let stated = node
            .status
            .iter()
            .flat_map(|own| own.addresses.iter().flatten());
        let mut stated = stated.filter_map(|own| own.address.parse::<IpAddr>().ok());
        if !stated.any(|ip| addresses.contains(&ip)) {
            return elsewhere(format!(
                "this machine is not node {name}, none of whose addresses is on an interface here; \
                 run it there: kubectl -n kube-system exec PROXY-POD-ON-{name} -- kube-proxy explain ..."
            ));
        }
        Self {
            addresses: Some(addresses),
            error: None,
        }
    }

    /// The node's addresses, if this is it.
    pub(super) fn addresses(&self) -> Option<&[IpAddr]> {
        self.addresses.as_deref()
    }

    /// What the kernel's table holds of what is asked; `None` if that is not to be known.
    pub(super) fn held(&mut self, family: Family, asked: &Asked) -> Option<Held> {
        self.addresses.as_ref()?;
        match held(family, asked) {
            Ok(held) => Some(held),
            Err(error) => {
                self.error = Some(match error.raw_os_error() {
                    Some(libc::EPERM | libc::EACCES) => {
                        "reading rules needs CAP_NET_ADMIN: run it as root, or in the proxy's container"
                            .to_owned()
                    }
                    _ => format!("reading table {} kube-proxy: {error}", family.nft()),
                });
                None
            }
        }
    }

    /// How the kernel could be looked at.
    pub(super) fn source(&self) -> Source {
        match &self.error {
            None => Source::fresh(KERNEL),
            Some(error) => Source::unseen(KERNEL, error),
        }
    }
}

/// Reads until nothing changed meanwhile, or for good after some times.
fn held(family: Family, asked: &Asked) -> io::Result<Held> {
    let mut last = None;
    for _ in 0..ATTEMPTS {
        let mut kernel = Kernel {
            reader: Reader::open(family)?,
            foreign: Vec::new(),
        };
        let before = kernel.reader.generation()?;
        let other = other(&mut kernel.reader, family)?;
        let excerpt = match other {
            None => excerpt(&mut kernel, asked)?,
            Some(_) => Excerpt::default(),
        };
        let unchanged = kernel.reader.generation()? == before;
        let mut foreign = kernel.foreign;
        foreign.sort();
        foreign.dedup();
        last = Some(Held {
            excerpt,
            other,
            foreign,
        });
        if unchanged {
            break;
        }
    }
    last.ok_or_else(|| io::ErrorKind::Other.into())
}

/// Why the table is none of ours.
fn other(reader: &mut Reader, family: Family) -> io::Result<Option<String>> {
    let table = format!("table {} kube-proxy", family.nft());
    let Some(flags) = reader.flags()? else {
        return Ok(Some(format!(
            "there is no {table}: no proxy of this kind has programmed this node"
        )));
    };
    if flags != 0 {
        return Ok(Some(format!(
            "the {table} has the flags {flags:#x}, which keep it from working"
        )));
    }
    let mut missing = Vec::new();
    for set in SetId::ALL {
        // Those are there or not, as settings ask for them.
        let is_optional = matches!(
            set,
            SetId::NodeportIps | SetId::ServiceConnections | SetId::LocalhostNodeports
        );
        if !is_optional && !reader.has_set(set)? {
            missing.push(set.name());
        }
    }
    Ok((!missing.is_empty()).then(|| {
        format!(
            "the {table} is another proxy's or another version's: it has not the maps {}",
            missing.join(", ")
        )
    }))
}

struct Kernel {
    reader: Reader,
    foreign: Vec<Foreign>,
}

impl Look for Kernel {
    type Error = io::Error;

    fn elements(&mut self, set: SetId, keys: Vec<Key>) -> io::Result<Vec<Element>> {
        let (found, foreign) = self.reader.elements(set, keys)?;
        self.foreign.extend(foreign);
        Ok(found)
    }

    fn chain(&mut self, id: &ChainId) -> io::Result<Option<Chain>> {
        let Some((chain, foreign)) = self.reader.chain(id)? else {
            return Ok(None);
        };
        self.foreign.extend(foreign);
        Ok(Some(chain))
    }
}
