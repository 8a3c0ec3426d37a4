//! The `Status` that an API server answers with, or whatever came in its place.

use super::one_line;
use http::StatusCode;
use kube::core::Status;

/// What kube writes as the reason when an answer's body was no `Status`.
const NO_STATUS: &str = "Failed to parse error data";

/// So much of a body that is no `Status`, in bytes; a page of HTML has its news at the top.
const BODY_LIMIT: usize = 120;

/// One line: `403 Forbidden: services is forbidden: User "x" cannot list ...`.
pub(crate) fn describe_status(status: &Status) -> String {
    let mut line = match StatusCode::from_u16(status.code) {
        Ok(code) => {
            let name = code.canonical_reason().unwrap_or(&status.reason);
            format!("{} {name}", code.as_u16()).trim_end().to_owned()
        }
        // Errors within a watch may have none.
        Err(_) if status.reason.is_empty() => "an error".to_owned(),
        Err(_) => status.reason.clone(),
    };
    let message = message(status);
    if !message.is_empty() && message != line && !line.ends_with(&message) {
        line = format!("{line}: {message}");
    }
    if let Some(hint) = hint(status) {
        line = format!("{line} ({hint})");
    }
    if let Some(details) = &status.details
        && details.retry_after_seconds > 0
    {
        line = format!("{line}; again in {} s", details.retry_after_seconds);
    }
    one_line(&line)
}

fn message(status: &Status) -> String {
    if status.reason == NO_STATUS {
        return body(&status.message);
    }
    if !status.message.is_empty() {
        return one_line(&status.message);
    }
    let Some(details) = &status.details else {
        return String::new();
    };
    // As the API server would have put it.
    let mut what = details.kind.clone();
    if !details.group.is_empty() {
        what = format!("{what}.{}", details.group);
    }
    if !details.name.is_empty() {
        what = format!("{what} {:?}", details.name);
    }
    what.trim().to_owned()
}

/// What a server that is no API server says, a proxy perhaps: without its markup.
fn body(text: &str) -> String {
    let mut plain = String::new();
    let mut in_tag = false;
    for own in text.chars().take(4096) {
        match own {
            '<' => in_tag = true,
            '>' if in_tag => {
                in_tag = false;
                plain.push(' ');
            }
            _ if in_tag => {}
            _ => plain.push(own),
        }
    }
    let mut line = one_line(&plain);
    if line.len() > BODY_LIMIT {
        line.truncate(line.floor_char_boundary(BODY_LIMIT));
        line.push('…');
    }
    if line.is_empty() {
        line
    } else {
        format!("{line:?}")
    }
}

fn hint(status: &Status) -> Option<&'static str> {
    let no_status = status.reason == NO_STATUS;
    Some(match status.code {
        401 => "the API server does not accept the token or client certificate",
        400 if status.message.contains("HTTP request to an HTTPS server") => {
            "the server's URL has to begin with https://"
        }
        404 if no_status => "is this an API server, and its URL's path right?",
        407 => "the proxy asks for a user and a password in its URL",
        // The API server forbids in words of its own.
        403 if no_status => "not said by an API server: a proxy's or a gateway's answer?",
        _ => return None,
    })
}
