//! File descriptors: as many as the process may have, and how they are shared out, so that
//! whoever fills one share takes nothing from the others.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// What everything but the servers may need at once: standard streams, the runtime, netlink
/// sockets, inotify, connections to the API server and its DNS, files that are read for a moment.
/// From a running process: 20 with manifests, 26 at most with an API server.
const RESERVE: usize = 36;
/// With fewer than this, parts of the process have to do without.
const ENOUGH: u64 = 64;
/// Connections of all servers together; more would serve nobody better.
const CONNECTIONS: usize = 576;
/// The fewest: with it each server answers several clients at once.
const FEW_CONNECTIONS: usize = 9;
/// The fewest for node ports on loopback addresses: one that listens, and two connections.
const FEW_LOCALHOST: usize = 6;
/// With so many left for listeners, node ports on loopback addresses have half of them, else a
/// quarter: most nodes have fewer health checks than that.
const MANY: usize = 4096;
/// Connections that were accepted and wait for another one's end, and the servers' own two
/// sockets.
const IN_BETWEEN: usize = 8;
/// More listening sockets than any node has ports and addresses for.
const LISTENERS: usize = 1 << 20;

/// How many descriptors each part of the process may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shares {
    /// Connections to `--healthz-bind-address`.
    pub health: usize,
    /// Connections to `--metrics-bind-address`.
    pub metrics: usize,
    /// Connections to all health check node ports together.
    pub service_health: usize,
    /// Listening sockets of health check node ports.
    pub listeners: usize,
    /// All sockets of node ports on loopback addresses.
    pub localhost: usize,
}

impl Shares {
    /// What a soft limit comes to. Never nothing: with too few, the servers share the misery.
    pub fn of(limit: u64) -> Self {
        let left = usize::try_from(limit)
            .unwrap_or(usize::MAX)
            .saturating_sub(RESERVE + IN_BETWEEN);
        let connections = (left / 4).clamp(FEW_CONNECTIONS, CONNECTIONS);
        let metrics = (connections / 9).max(2);
        let health = (connections - metrics).div_ceil(2);
        let rest = left.saturating_sub(connections);
        let part = if rest < MANY { 4 } else { 2 };
        let localhost = (rest / part).clamp(FEW_LOCALHOST, LISTENERS);
        Self {
            health,
            metrics,
            service_health: connections - metrics - health,
            listeners: rest.saturating_sub(localhost).clamp(1, LISTENERS),
            localhost,
        }
    }

    /// Connections of a process that has one server and nothing else.
    pub fn echo(&self) -> usize {
        (self.health + self.metrics + self.service_health).max(1)
    }

    /// By the limit in force.
    pub fn current() -> Self {
        let limit = getrlimit(Resource::RLIMIT_NOFILE).map_or(1024, |(soft, _)| soft);
        Self::of(limit)
    }
}

/// Raises the soft limit to the hard one, as Go's run-time does for upstream: the soft one is kept
/// low for programs that use select(2), and this one does not. Nothing is started that would have
/// to have the old limit back. Says so if even the hard one is low.
pub fn raise() {
    let limit = getrlimit(Resource::RLIMIT_NOFILE).and_then(|(soft, hard)| {
        if soft < hard {
            setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
            tracing::debug!("limit of file descriptors raised from {soft} to {hard}");
        }
        Ok(hard)
    });
    match limit {
        Ok(limit) if limit < ENOUGH => tracing::warn!(
            "no more than {limit} file descriptors are allowed (RLIMIT_NOFILE), {ENOUGH} are \
             needed: some connections may not come about"
        ),
        Ok(_) => {}
        Err(error) => tracing::warn!("raising the limit of file descriptors: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_add_up_to_the_limit() {
        for limit in [64, 100, 256, 1024, 4096, 65_536, 1_048_576] {
            let shares = Shares::of(limit);
            let connections = shares.health + shares.metrics + shares.service_health;
            let sockets = connections + shares.listeners + shares.localhost;
            let all = sockets + RESERVE + IN_BETWEEN;
            assert!(all as u64 <= limit, "{limit}: {shares:?}");
            assert!(connections <= CONNECTIONS, "{limit}: {shares:?}");
            let least = [shares.health, shares.metrics, shares.service_health];
            assert!(least.iter().all(|own| *own >= 2), "{limit}: {shares:?}");
        }
    }

    #[test]
    fn even_with_too_few_everybody_has_one() {
        for limit in [0, 1, 20, 63] {
            let shares = Shares::of(limit);
            assert!(shares.listeners >= 1 && shares.metrics >= 2, "{shares:?}");
        }
    }

    #[test]
    fn the_usual_limits() {
        let shares = |limit| {
            let own = Shares::of(limit);
            (own.health, own.metrics, own.service_health, own.listeners)
        };
        assert_eq!(shares(64), (4, 2, 3, 5));
        assert_eq!(shares(1024), (109, 27, 109, 552));
        assert_eq!(shares(524_288), (256, 64, 256, 261_834));
        assert_eq!(shares(u64::MAX).3, LISTENERS);
    }
}
