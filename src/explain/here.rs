//! The machine on which this runs: is it the node that is asked about, and what does its kernel
//! hold.

use crate::inspect::Facts;
use crate::mode::Mode;
use crate::netlink::dump::{Foreign, Reader};
use crate::netlink::interfaces;
use crate::netlink::iptables::ChainReader;
use crate::report::Source;
use crate::settings::Settings;
use rules::iptables::explain::{self, Ports};
use rules::iptables::rule::Table;
use rules::iptables::top::SERVICES;
use rules::iptables::trace::{Chains, Place};
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
        self.look_at("table kube-proxy", family, || held(family, asked))
    }

    /// The kernel's chains of iptables: those that packets of all Services come by, and those of a
    /// Service that has these ports. `None` if that is not to be known, or `None` within if there are
    /// none.
    pub(super) fn chains(
        &mut self,
        family: Family,
        ports: Option<&Ports>,
    ) -> Option<Option<Chains>> {
        self.look_at("chains of iptables", family, || chains(family, ports))
    }

    /// Whose rules serve a family: those of the mode, but where that is iptables and the kernel has no
    /// chains and our table, as nodes have that cannot have chains.
    pub(super) fn serving(&self, family: Family, mode: Mode) -> Mode {
        let is_in_table = || {
            let has_chains = ChainReader::open(family)?.has((Table::Nat, SERVICES))?;
            Ok::<_, io::Error>(!has_chains && Reader::open(family)?.flags()?.is_some())
        };
        match mode {
            Mode::Iptables if self.addresses.is_some() && is_in_table().unwrap_or(false) => {
                Mode::Nftables
            }
            mode => mode,
        }
    }

    fn look_at<T>(
        &mut self,
        what: &str,
        family: Family,
        read: impl FnOnce() -> io::Result<T>,
    ) -> Option<T> {
        self.addresses.as_ref()?;
        let error = match read() {
            Ok(found) => return Some(found),
            Err(error) => error,
        };
        self.error = Some(match error.raw_os_error() {
            Some(libc::EPERM | libc::EACCES) => {
                "reading rules needs CAP_NET_ADMIN: run it as root, or in the proxy's container"
                    .to_owned()
            }
            _ => format!("reading {what} of family {}: {error}", family.nft()),
        });
        None
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

/// The same of chains.
fn chains(family: Family, ports: Option<&Ports>) -> io::Result<Option<Chains>> {
    let mut reader = ChainReader::open(family)?;
    let mut last = None;
    for _ in 0..ATTEMPTS {
        let before = reader.generation()?;
        if !reader.has((Table::Nat, SERVICES))? {
            return Ok(None);
        }
        let mut held = Chains::new(family);
        let mut next: Vec<Place> = explain::common().into_iter().collect();
        while !next.is_empty() {
            for place in next.drain(..) {
                let lines = reader.chain(place)?.unwrap_or_default().into_iter();
                held.insert(place, lines.map(|own| own.line).collect());
            }
            next = ports.map_or_else(Vec::new, |ports| explain::unknown(&held, ports));
        }
        last = Some(held);
        if reader.generation()? == before {
            break;
        }
    }
    Ok(last)
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
