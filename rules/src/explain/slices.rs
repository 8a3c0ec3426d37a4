//! Whether EndpointSlices and the Service speak of the same ports.

use crate::model::{EndpointPort, EndpointSlice, Family, ServicePort};

/// How slices miss a port that the Service has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Mismatch {
    /// One has its protocol, and another name.
    NamedOtherwise {
        /// The name in the slices.
        name: String,
        /// Its number there.
        port: u16,
    },
    /// None is like it; those that there are.
    Missing(Vec<String>),
}

/// What is wrong if no slice of the family that has endpoints has the port; `None` if one has it,
/// or none has endpoints.
pub(super) fn mismatch(
    port: &ServicePort,
    family: Family,
    slices: &[EndpointSlice],
    wanted: &[ServicePort],
) -> Option<Mismatch> {
    let full = |slice: &&EndpointSlice| slice.family == family && !slice.endpoints.is_empty();
    let full: Vec<&EndpointSlice> = slices.iter().filter(full).collect();
    if full.is_empty()
        || full
            .iter()
            .any(|slice| slice.ports_of(port).next().is_some())
    {
        return None;
    }
    let is_another_ports = |own: &EndpointPort| {
        let mut others = wanted.iter();
        others.any(|other| other.name == own.name && other.protocol == own.protocol)
    };
    let offered = full.iter().flat_map(|slice| &slice.ports);
    let offered: Vec<&EndpointPort> = offered.filter(|own| !is_another_ports(own)).collect();
    let mut same_protocol = offered.iter().filter(|own| own.protocol == port.protocol);
    if let Some(own) = same_protocol.next() {
        return Some(Mismatch::NamedOtherwise {
            name: own.name.to_string(),
            port: own.port,
        });
    }
    let all = full.iter().flat_map(|slice| &slice.ports);
    let mut all: Vec<String> = all.map(words).collect();
    all.sort_unstable();
    all.dedup();
    Some(Mismatch::Missing(all))
}

fn words(port: &EndpointPort) -> String {
    format!("{} ({}/{})", quoted(&port.name), port.port, port.protocol)
}

/// A port's name; those of no name are called so.
pub(super) fn quoted(name: &str) -> String {
    match name {
        "" => "without a name".to_owned(),
        name => format!("{name:?}"),
    }
}
