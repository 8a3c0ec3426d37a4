//! What a scenario expects of connections. The control plane and the daemon take their time, so
//! everything is awaited; nothing may be different any more once it has come true.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use e2e::client::{Outcome, Tally};
use e2e::{Namespace, wait};

/// How long the way from an API request to the kernel may take.
const LIMIT: Duration = Duration::from_secs(10);

/// Connections from one place, described for messages.
pub(crate) struct From<'a> {
    pub(crate) namespace: &'a Namespace,
    pub(crate) who: &'a str,
}

impl From<'_> {
    /// That exactly these pods answer on `target`, none else, and every connection is answered.
    pub(crate) fn reaches(&self, target: SocketAddr, pods: &[&str]) -> Result<Tally> {
        let expected: BTreeSet<_> = pods.iter().map(|pod| (*pod).to_owned()).collect();
        let mut result = Tally::default();
        let what = format!("{} to {target}: {pods:?} answer", self.who);
        // Enough that a pod among five is missed once in 10 000 times; and that is tried again.
        let connections = 40;
        wait::until(&what, LIMIT, || {
            // One first: where none is answered, forty would take long to fail.
            self.answered(target)?;
            let tally = self.namespace.measure(target, connections)?;
            ensure!(tally.failures.is_empty(), "{:?}", tally.failures);
            let answered: BTreeSet<_> = tally.pods.keys().cloned().collect();
            ensure!(answered == expected, "{answered:?} answered");
            result = tally;
            Ok(())
        })?;
        Ok(result)
    }

    fn answered(&self, target: SocketAddr) -> Result<()> {
        match self.namespace.dial(target)? {
            Outcome::Answered(_) => Ok(()),
            other => bail!("{other}"),
        }
    }

    /// That exactly these pods answer, and all see the client as `client`.
    pub(crate) fn seen_as(
        &self,
        target: SocketAddr,
        pods: &[&str],
        client: &[IpAddr],
    ) -> Result<()> {
        let what = format!("{} to {target}: seen as one of {client:?}", self.who);
        wait::until(&what, LIMIT, || {
            let tally = self.reaches(target, pods)?;
            match tally
                .clients
                .keys()
                .find(|(_, seen)| !client.contains(seen))
            {
                None => Ok(()),
                Some((pod, seen)) => bail!("{pod} saw {seen}"),
            }
        })
        .map(drop)
    }

    /// That one of these pods answers a datagram.
    pub(crate) fn reaches_by_udp(&self, target: SocketAddr, pods: &[&str]) -> Result<()> {
        let what = format!("{} to {target}/UDP: one of {pods:?} answers", self.who);
        wait::until(&what, LIMIT, || match self.namespace.dial_udp(target)? {
            Outcome::Answered(answer) if pods.contains(&answer.pod.as_str()) => Ok(()),
            other => bail!("{other}"),
        })
        .map(drop)
    }

    /// That connections are rejected at once.
    pub(crate) fn is_refused(&self, target: SocketAddr) -> Result<()> {
        self.becomes(target, &Outcome::Refused)
    }

    /// That connections are dropped without an answer.
    pub(crate) fn is_dropped(&self, target: SocketAddr) -> Result<()> {
        self.becomes(target, &Outcome::Dropped)
    }

    fn becomes(&self, target: SocketAddr, expected: &Outcome) -> Result<()> {
        let what = format!("{} to {target}: {expected}", self.who);
        wait::until(&what, LIMIT, || match self.namespace.dial(target)? {
            outcome if outcome == *expected => Ok(()),
            other => bail!("{other}"),
        })
        .map(drop)
    }

    /// That `GET /healthz` on `server` answers `status`; returns the answer.
    pub(crate) fn health(&self, server: SocketAddr, status: u16) -> Result<e2e::http::Response> {
        let mut found = None;
        let what = format!("health check on {server}: {status}");
        wait::until(&what, LIMIT, || {
            let response = self.namespace.get(server, "/healthz")?;
            ensure!(response.status == status, "answers {}", response.status);
            found = Some(response);
            Ok(())
        })?;
        found.context("no answer")
    }
}
