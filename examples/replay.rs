//! `replay DIR ROUNDS`: the first sync of a directory of manifests, taken apart.
//!
//! Plans it, encodes it, and sends the very same bytes by a socket that nothing else is built
//! around: the least that such a sync can take. Prints medians, a name and a number a line.
//! Replaces the table of the network namespace that it runs in.

use anyhow::{Context, Result, ensure};
use kube_proxy::netlink;
use kube_proxy::source::Manifests;
use nix::libc;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, recv, sendto,
    setsockopt, socket, sockopt,
};
use rules::model::Family;
use rules::nft::Planner;
use rules::{Config, NodeportAddresses, State};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [directory, rounds] = &words[..] else {
        anyhow::bail!("usage: replay DIR ROUNDS");
    };
    let node = "node-1";
    let mut state = State::new();
    Manifests::new(Path::new(directory), node)
        .load(&mut |event| drop(state.apply(event)))
        .with_context(|| format!("reading {directory}"))?;
    let socket = open()?;
    let [mut plan, mut encode, mut send, mut whole] = [const { Vec::new() }; 4];
    let (mut bytes, mut elements) = (0, 0);
    for _ in 0..rounds.parse().context("ROUNDS is not a number")? {
        let start = Instant::now();
        let mut planner = Planner::new(config(node));
        let pending = planner.prepare(&state, &[], Default::default);
        let pending = pending.context("nothing to plan")?;
        let planned = start.elapsed();
        let message = netlink::encode(&pending.transaction)?;
        let encoded = start.elapsed();
        transact(&socket, &message)?;
        let sent = start.elapsed();
        plan.push(planned);
        encode.push(encoded - planned);
        send.push(sent - encoded);
        whole.push(sent);
        bytes = message.len();
        elements = 0;
        for op in &pending.transaction.ops {
            op.for_each_element(|_, _| elements += 1);
        }
    }
    println!("bytes {bytes}\nelements {elements}");
    for (name, times) in [
        ("plan_ms", plan),
        ("encode_ms", encode),
        ("send_ms", send),
        ("whole_ms", whole),
    ] {
        println!("{name} {:.3}", median(times).as_secs_f64() * 1e3);
    }
    Ok(())
}

fn config(node: &str) -> Config {
    Config {
        nodeport_addresses: NodeportAddresses::All,
        ..Config::new(Family::V4, node)
    }
}

fn open() -> Result<OwnedFd> {
    let socket = socket(
        AddressFamily::Netlink,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC,
        SockProtocol::NetlinkNetFilter,
    )?;
    setsockopt(&socket, sockopt::RcvBufForce, &(4 << 20))?;
    setsockopt(&socket, sockopt::SndBufForce, &(512 << 20))?;
    Ok(socket)
}

/// Sends a batch and reads the kernel's one answer.
fn transact(socket: &OwnedFd, message: &[u8]) -> Result<()> {
    let kernel = NetlinkAddr::new(0, 0);
    let sent = sendto(socket.as_raw_fd(), message, &kernel, MsgFlags::empty())?;
    ensure!(sent == message.len(), "only {sent} bytes were taken");
    let mut answer = [0; 4096];
    let length = recv(socket.as_raw_fd(), &mut answer, MsgFlags::empty())?;
    // A header, then the error: 0 for success.
    let error = answer[..length].get(16..20).context("a short answer")?;
    ensure!(error == [0; 4], "the kernel refused: {error:?}");
    ensure!(
        i32::from(answer[4]) == libc::NLMSG_ERROR,
        "no acknowledgement"
    );
    Ok(())
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}
