//! How much of the kernel one Service may take. Whatever a tenant may write into
//! an object of 1.5 MB, one transaction with it is short and small; what is more
//! than that is left out with a Warning, and everything else is served.

/// Addresses × ports of a Service, of both families together. More external
/// IPs are left out, then load-balancer IPs, then ports.
pub(crate) const FRONTENDS: usize = 32_768;

/// Endpoints × ports of a Service, of each family. With more, each port is
/// served by a part of its endpoints, another one on each node.
pub(crate) const ENDPOINTS: usize = 65_536;

/// Endpoints × ports of a Service with session affinity, of each family, that
/// remember their clients: each has a set and a chain, and the kernel finds a set
/// by walking all. With more, a hash of the client's address chooses.
pub(crate) const REMEMBERING: usize = 1024;

/// How many endpoints each of so many ports may have; at least one.
pub(crate) fn endpoints_of_each(ports: usize) -> usize {
    (ENDPOINTS / ports.max(1)).max(1)
}

/// How many endpoints of each of so many ports may remember clients.
pub(crate) fn remembering_of_each(ports: usize) -> usize {
    REMEMBERING / ports.max(1)
}
