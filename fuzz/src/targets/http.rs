//! What a client sends to the health or the metrics server: the answers are HTTP, there is nothing
//! in between, and the connection ends.

use kube_proxy::fuzzing::Servers;
use std::sync::OnceLock;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio::runtime::{Builder, Runtime};
use tokio::time::{sleep, timeout};

/// More than all pauses that a server allows, in the time of the run-time, which jumps when
/// nothing else is to be done.
const LIMIT: Duration = Duration::from_secs(700);

/// The first byte chooses the server and whether the client stays after its last word, the second
/// how many bytes come at a time.
pub(crate) fn run(data: &[u8]) {
    let [how, pace, sent @ ..] = data else {
        return;
    };
    let (is_metrics, stays) = (how & 1 == 1, how & 2 == 2);
    let pace = usize::from(*pace) * 8 + 1;
    let server = servers().clone();
    let received = runtime().block_on(async {
        let (near, far) = duplex(64 << 10);
        let (mut from_server, mut to_server) = tokio::io::split(near);
        let client = async {
            for part in sent.chunks(pace) {
                // A server that has heard enough closes.
                if to_server.write_all(part).await.is_err() {
                    break;
                }
                sleep(Duration::from_millis(1)).await;
            }
            if !stays {
                to_server.shutdown().await.ok();
            }
        };
        let mut received = Vec::new();
        let all = async {
            let read = from_server.read_to_end(&mut received);
            tokio::join!(server.answer(far, is_metrics), client, read)
        };
        let ended = timeout(LIMIT, all).await;
        assert!(ended.is_ok(), "the connection is still there");
        received
    });
    assert!(
        is_http(&received, MOST_ANSWERS),
        "{:?}",
        String::from_utf8_lossy(&received)
    );
}

/// More requests than an input has room for.
const MOST_ANSWERS: usize = 1000;

fn servers() -> &'static Servers {
    static SERVERS: OnceLock<Servers> = OnceLock::new();
    SERVERS.get_or_init(|| Servers::new().unwrap_or_else(|error| panic!("{error:#}")))
}

fn runtime() -> Runtime {
    let runtime = Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build();
    runtime.unwrap_or_else(|error| panic!("{error}"))
}

/// Whether it is a run of answers. To a HEAD there is a length and no body, so both are tried.
fn is_http(bytes: &[u8], most: usize) -> bool {
    if bytes.is_empty() {
        return true;
    }
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
        return false;
    };
    let (Ok(head), rest) = (std::str::from_utf8(&bytes[..end]), &bytes[end + 4..]) else {
        return false;
    };
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap_or_default();
    let is_status = status.starts_with("HTTP/1.1 ") || status.starts_with("HTTP/1.0 ");
    let mut length = 0;
    for line in lines {
        let Some((name, value)) = line.split_once(": ") else {
            return false;
        };
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '-';
        if name.is_empty() || !name.chars().all(is_name) || value.contains(['\r', '\n']) {
            return false;
        }
        if name.eq_ignore_ascii_case("content-length") {
            length = value.parse().unwrap_or(usize::MAX);
        }
    }
    let without_body = || length > 0 && is_http(rest, most - 1);
    let with_body = || {
        rest.get(length..)
            .is_some_and(|rest| is_http(rest, most - 1))
    };
    is_status && most > 0 && (with_body() || without_body())
}
