//! What went wrong between us and the API server, in one line for a person.
//!
//! Libraries wrap errors in errors, and some print themselves as Rust structures. What is
//! said here is the innermost thing that means something: the API server's own words, the
//! phase of a connection and its peer, or what the kernel said.

mod status;
mod tls;

use crate::source::told::ConnectError;
use std::error::Error;
use std::io::{self, ErrorKind};

pub(crate) use status::describe_status;

/// A line is not longer, in bytes: much of it may come from the peer.
const LIMIT: usize = 512;

const TIMED_OUT: &str = "connection timed out";
const ENDED: &str = "the connection ended before the answer did";

/// One line without control characters, of at most half a kilobyte.
pub(crate) fn describe(error: &(dyn Error + 'static)) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        match text(error) {
            Text::All(text) => {
                parts.push(text);
                break;
            }
            Text::Part(text) => parts.push(text),
            Text::Nothing => {}
        }
        next = cause(error);
    }
    if parts.is_empty() {
        parts.push(error.to_string());
    }
    one_line(&one_message(parts))
}

/// An error and its causes, without those that are in it already: many errors repeat their cause.
pub(crate) fn one_message(causes: impl IntoIterator<Item = String>) -> String {
    let mut message = String::new();
    for cause in causes {
        if message.is_empty() {
            message = cause;
        } else if !message.contains(&cause) {
            message = format!("{message}: {cause}");
        }
    }
    message
}

/// What an error of a chain adds to the line.
enum Text {
    /// No cause adds to it.
    All(String),
    Part(String),
    /// A wrapper.
    Nothing,
}

fn text(error: &(dyn Error + 'static)) -> Text {
    if let Some(error) = error.downcast_ref::<kube::Error>() {
        return of_kube(error);
    }
    if let Some(status) = error.downcast_ref::<kube::core::Status>() {
        return Text::All(describe_status(status));
    }
    // kube boxes it, and a box is an error of its own.
    if let Some(status) = error.downcast_ref::<Box<kube::core::Status>>() {
        return Text::All(describe_status(status));
    }
    if let Some(error) = error.downcast_ref::<ConnectError>() {
        return Text::All(error.to_string());
    }
    if let Some(error) = error.downcast_ref::<rustls::Error>() {
        return Text::All(tls::describe_tls(error));
    }
    if let Some(error) = error.downcast_ref::<hyper::Error>() {
        return of_hyper(error);
    }
    if error.is::<hyper_util::client::legacy::Error>() {
        return match error.source() {
            Some(_) => Text::Nothing,
            None => Text::Part(error.to_string()),
        };
    }
    if let Some(error) = error.downcast_ref::<h2::Error>() {
        return of_h2(error);
    }
    if let Some(error) = error.downcast_ref::<io::Error>() {
        return of_io(error);
    }
    Text::Part(error.to_string())
}

/// An `io::Error` that was made from another error has that error's cause as its own.
fn cause<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    match error
        .downcast_ref::<io::Error>()
        .and_then(io::Error::get_ref)
    {
        Some(inner) => Some(inner),
        None => error.source(),
    }
}

fn of_kube(error: &kube::Error) -> Text {
    use kube::Error as E;
    match error {
        E::Api(status) => Text::All(describe_status(status)),
        E::SerdeError(error) => Text::All(format!("an answer that cannot be read: {error}")),
        E::FromUtf8(_) => Text::All("an answer that is not UTF-8".to_owned()),
        _ if error.source().is_some() => Text::Nothing,
        _ => Text::Part(error.to_string()),
    }
}

fn of_hyper(error: &hyper::Error) -> Text {
    if error.source().is_some() && !error.is_incomplete_message() {
        return Text::Nothing;
    }
    let says = error.to_string();
    if error.is_incomplete_message() || error.is_closed() || error.is_canceled() {
        return Text::All(ENDED.to_owned());
    }
    if error.is_parse() {
        return Text::All(format!("an answer that is not HTTP: {says}"));
    }
    Text::Part(says)
}

fn of_h2(error: &h2::Error) -> Text {
    if let Some(io) = error.get_io() {
        return match io.kind() {
            // What all answers of a connection end with whose PING was not answered.
            ErrorKind::BrokenPipe => {
                Text::All("the connection is gone: no answer to HTTP/2's PING".to_owned())
            }
            ErrorKind::TimedOut => Text::All(TIMED_OUT.to_owned()),
            _ => of_io(io),
        };
    }
    let reason = error.reason().map(|own| own.description().to_owned());
    let reason = reason.unwrap_or_default();
    if error.is_go_away() {
        return Text::All(format!("the peer ended the HTTP/2 connection: {reason}"));
    }
    if error.is_reset() {
        return Text::All(format!("the peer broke the answer off: {reason}"));
    }
    Text::Part(error.to_string())
}

fn of_io(error: &io::Error) -> Text {
    let wraps = error.get_ref().is_some();
    if wraps && !matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::TimedOut) {
        return Text::Nothing;
    }
    let words = match error.kind() {
        ErrorKind::ConnectionRefused => "Connection refused",
        ErrorKind::ConnectionReset => "connection reset by the peer",
        ErrorKind::ConnectionAborted => "connection aborted",
        ErrorKind::BrokenPipe => "the peer closed the connection",
        ErrorKind::UnexpectedEof => ENDED,
        ErrorKind::TimedOut => TIMED_OUT,
        ErrorKind::HostUnreachable => "no route to the host",
        ErrorKind::NetworkUnreachable => "the network is unreachable",
        _ => return Text::All(error.to_string()),
    };
    Text::All(words.to_owned())
}

/// Without control characters, without runs of blanks, and cut.
pub(crate) fn one_line(text: &str) -> String {
    let blank = |own: char| own.is_whitespace() || own.is_control();
    let words = text.split(blank).filter(|word| !word.is_empty());
    let mut line = String::new();
    for word in words {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
        if line.len() > LIMIT {
            line.truncate(line.floor_char_boundary(LIMIT));
            line.push('…');
            break;
        }
    }
    line
}

#[cfg(test)]
mod tests;
