//! A name server that can keep silent (RFC 1035).

use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use e2e::address::CONTROL;
use e2e::{Namespace, Worker};

/// Answers every question for an IPv4 address with the API server's; stopped with the value.
pub(crate) struct Dns {
    shared: Arc<Shared>,
    _worker: Worker,
}

#[derive(Default)]
struct Shared {
    answers: AtomicBool,
    queries: AtomicUsize,
}

impl Dns {
    /// Listens and keeps silent.
    ///
    /// # Errors
    /// If the port is taken.
    pub(crate) fn start(namespace: &Namespace, address: IpAddr) -> Result<Self> {
        let socket = namespace.run(|| UdpSocket::bind((address, 53)))?;
        let socket = socket.context("listen on the port of DNS")?;
        socket.set_read_timeout(Some(Duration::from_millis(50)))?;
        let shared = Arc::new(Shared::default());
        let served = Arc::clone(&shared);
        let work = move |stop: &AtomicBool| serve(&socket, &served, stop);
        Ok(Self {
            shared,
            _worker: namespace.start_worker("dns", work)?,
        })
    }

    /// Answers from now on.
    pub(crate) fn answer(&self) {
        self.shared.answers.store(true, Ordering::Relaxed);
    }

    /// How many queries came.
    pub(crate) fn queries(&self) -> usize {
        self.shared.queries.load(Ordering::Relaxed)
    }
}

fn serve(socket: &UdpSocket, shared: &Shared, stop: &AtomicBool) -> Result<()> {
    let mut query = [0; 512];
    while !stop.load(Ordering::Relaxed) {
        let Ok((length, client)) = socket.recv_from(&mut query) else {
            continue;
        };
        shared.queries.fetch_add(1, Ordering::Relaxed);
        if shared.answers.load(Ordering::Relaxed)
            && let Some(answer) = answer(&query[..length], CONTROL.v4)
        {
            // Whoever asked may be gone.
            socket.send_to(&answer, client).ok();
        }
    }
    Ok(())
}

/// The answer to a query: the address for type A, nothing for other types.
fn answer(query: &[u8], address: Ipv4Addr) -> Option<Vec<u8>> {
    const HEADER: usize = 12;
    const A: [u8; 2] = [0, 1];
    let name = query.get(HEADER..)?;
    let end = HEADER + name.iter().position(|byte| *byte == 0)? + 1;
    let question = query.get(HEADER..end + 4)?;
    let is_address = query.get(end..end + 2)? == A;
    let mut out = query.get(..2)?.to_vec();
    // A response, recursion desired and available; one question, perhaps one answer.
    out.extend_from_slice(&[0x81, 0x80, 0, 1, 0, u8::from(is_address), 0, 0, 0, 0]);
    out.extend_from_slice(question);
    if is_address {
        // The name of the question, class IN, for no time, four bytes.
        out.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4]);
        out.extend_from_slice(&address.octets());
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::answer;

    #[test]
    fn only_questions_for_an_ipv4_address_have_one() {
        let mut query = vec![7, 9, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        query.extend_from_slice(b"\x03api\x00\x00\x01\x00\x01");
        let reply = answer(&query, [192, 0, 2, 1].into()).expect("a query");
        assert_eq!(reply[..2], [7, 9]);
        assert_eq!(reply[reply.len() - 4..], [192, 0, 2, 1]);
        query[18] = 28;
        let reply = answer(&query, [192, 0, 2, 1].into()).expect("a query");
        assert_eq!(reply[7], 0, "no answers to AAAA");
        assert_eq!(answer(&query[..14], [192, 0, 2, 1].into()), None);
    }
}
