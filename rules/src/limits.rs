//! How much of the kernel one Service may take. Whatever a tenant may write into
//! an object of 1.5 MB, one transaction with it is short and small; what is more
//! than that is left out with a Warning, and everything else is served.

use crate::model::Service;

/// Addresses × ports of a Service, of both families together. More external
/// IPs are left out, then load-balancer IPs, then ports.
pub(crate) const FRONTENDS: usize = 32_768;

/// Source ranges of a Service, those that adjoin being one, of both families together. The kernel
/// takes some 15 to 40 µs for each in an interval set. Sources of further ones are not let in.
pub(crate) const SOURCE_RANGES: usize = 20_000;

/// Endpoints × ports of a Service, of each family. With more, each port is
/// served by a part of its endpoints, another one on each node.
pub(crate) const ENDPOINTS: usize = 65_536;

/// Endpoints × ports of a Service with session affinity, of each family, that
/// remember their clients: each has a set and a chain, and the kernel finds a set
/// by walking all. With more, a hash of the client's address chooses.
pub(crate) const REMEMBERING: usize = 1024;

/// Ports of a Service that may have chains of their own, which session affinity
/// and many frontends call for: the kernel takes long over many chains. With
/// more ports clients are not remembered, and endpoints are listed for each
/// frontend.
pub(crate) const PORTS_WITH_CHAINS: usize = 512;

/// Endpoints × frontends of a Service whose ports have no chains of their own, of
/// each family.
const LISTED_FOR_EACH: usize = 262_144;

/// How many endpoints each of so many ports at so many addresses may have; at
/// least one.
pub(crate) fn endpoints_of_each(ports: usize, addresses: usize) -> usize {
    let ports = ports.max(1);
    let each = match ports <= PORTS_WITH_CHAINS {
        true => ENDPOINTS / ports,
        false => (ENDPOINTS / ports).min(LISTED_FOR_EACH / (ports * addresses.max(1))),
    };
    each.max(1)
}

/// How many endpoints of each of so many ports may remember clients.
pub(crate) fn remembering_of_each(ports: usize) -> usize {
    REMEMBERING / ports.max(1)
}

/// All addresses of a Service, and one for its node ports.
pub(crate) fn addresses(service: &Service) -> usize {
    let own = service.cluster_ips.len() + service.external_ips.len();
    own + service.load_balancer_ips.len() + 1
}
