//! A connection, or a flow of datagrams, that stays: every message has a number, which comes back
//! with the name of the pod, always the same one.

use std::io::{BufRead, BufReader, Error, ErrorKind, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use super::{Protocol, Run, Seen};

/// Between two messages.
const PAUSE: Duration = Duration::from_millis(250);
/// For an answer by TCP, which repeats what is lost by itself.
const PATIENCE: Duration = Duration::from_secs(12);
/// For an answer to a datagram, which is sent again so often.
const UDP_PATIENCE: Duration = Duration::from_millis(700);
const UDP_TRIES: u32 = 12;

pub(super) fn run(protocol: Protocol, target: SocketAddr, run: &Run) -> Seen {
    let mut seen = Seen::default();
    let result = match protocol {
        Protocol::Tcp => stream(target, run, &mut seen),
        Protocol::Udp => datagrams(target, run, &mut seen),
    };
    if let Err(error) = result {
        seen.failed.push((run.now(), error.to_string()));
    }
    seen
}

fn stream(target: SocketAddr, run: &Run, seen: &mut Seen) -> std::io::Result<()> {
    let stream = TcpStream::connect_timeout(&target, PATIENCE)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut stream = BufReader::new(stream);
    let mut pod = None;
    while run.goes_on() {
        seen.asked += 1;
        let number = seen.asked;
        stream
            .get_mut()
            .write_all(format!("{number}\n").as_bytes())?;
        let mut line = String::new();
        stream.read_line(&mut line)?;
        check(&line, number, &mut pod)?;
        run.is_ready();
        run.pause(PAUSE);
    }
    Ok(())
}

fn datagrams(target: SocketAddr, run: &Run, seen: &mut Seen) -> std::io::Result<()> {
    let any = if target.is_ipv4() {
        "0.0.0.0:0"
    } else {
        "[::]:0"
    };
    let socket = UdpSocket::bind(any)?;
    socket.connect(target)?;
    socket.set_read_timeout(Some(UDP_PATIENCE))?;
    let mut pod = None;
    while run.goes_on() {
        seen.asked += 1;
        let number = seen.asked;
        let line = exchange(&socket, number, seen)?;
        check(&line, number, &mut pod)?;
        run.is_ready();
        run.pause(PAUSE);
    }
    Ok(())
}

/// Sends a number until its answer comes.
fn exchange(socket: &UdpSocket, number: u64, seen: &mut Seen) -> std::io::Result<String> {
    let mut last = None;
    for attempt in 0..UDP_TRIES {
        seen.repeated += u64::from(attempt > 0);
        // An error of the one before, which came back as ICMP, is told here.
        if let Err(error) = socket.send(format!("{number}\n").as_bytes()) {
            last = Some(error);
            std::thread::sleep(Duration::from_millis(50));
            continue;
        }
        let mut bytes = [0; 128];
        match socket.recv(&mut bytes) {
            Ok(length) => {
                let line = String::from_utf8_lossy(&bytes[..length]).into_owned();
                // The answer to one that was sent again comes twice.
                if line.trim_end().ends_with(&format!(" {number}")) {
                    return Ok(line);
                }
            }
            Err(error) => {
                if error.kind() == ErrorKind::ConnectionRefused {
                    std::thread::sleep(Duration::from_millis(50));
                }
                last = Some(error);
            }
        }
    }
    Err(last.unwrap_or_else(|| Error::other("only old answers")))
}

/// That a line is the answer to `number` by the pod that answered before.
fn check(line: &str, number: u64, pod: &mut Option<String>) -> std::io::Result<()> {
    if line.is_empty() {
        return Err(Error::new(ErrorKind::UnexpectedEof, "closed"));
    }
    let (name, echoed) = line.trim_end().split_once(' ').unwrap_or_default();
    if echoed != number.to_string() {
        return Err(Error::other(format!("answer to {number} was {line:?}")));
    }
    let known = pod.get_or_insert_with(|| name.to_owned());
    match known == name {
        true => Ok(()),
        false => Err(Error::other(format!("moved from {known} to {name}"))),
    }
}
