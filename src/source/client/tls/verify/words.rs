//! Why a server's certificate is not believed, for whoever has to mend it.

use jiff::Timestamp;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, Error};
use std::net::IpAddr;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

/// Names of a certificate that are told; there may be hundreds.
const NAMES: usize = 10;

/// The reason, with names, dates and the authority's field or file.
pub(super) fn why(
    error: &Error,
    own: &CertificateDer<'_>,
    roots: &[CertificateDer<'_>],
    field: &str,
    name: &ServerName<'_>,
    now: UnixTime,
) -> String {
    use CertificateError as E;
    let Ok((_, parsed)) = X509Certificate::from_der(own) else {
        return "the server's certificate cannot be read".to_owned();
    };
    let name = name.to_str();
    let Error::InvalidCertificate(error) = error else {
        return format!("the server's certificate: {error}");
    };
    match error {
        E::Expired | E::ExpiredContext { .. } | E::NotValidYet | E::NotValidYetContext { .. } => {
            dates(&parsed, now)
        }
        E::NotValidForName | E::NotValidForNameContext { .. } => names(&parsed, &name),
        E::UnknownIssuer => unknown_issuer(&parsed, roots, field, now),
        E::BadSignature => format!(
            "the server's certificate is not signed by the authority that it names, {}; is {field} \
             of another cluster?",
            parsed.issuer()
        ),
        E::InvalidPurpose | E::InvalidPurposeContext { .. } => {
            "the server's certificate is not for servers (extended key usage)".to_owned()
        }
        E::Revoked => "the server's certificate is revoked".to_owned(),
        E::BadEncoding => "the server's certificate cannot be read".to_owned(),
        other => {
            let text = format!("{other:?}");
            // webpki's own reasons have no other way out.
            if text.contains("CaUsedAsEndEntity") {
                return "the server's certificate is that of an authority (CA:TRUE), which is \
                        believed only if it is itself the certificate-authority or is signed by it"
                    .to_owned();
            }
            if text.contains("UnsupportedCertVersion") {
                return "the server's certificate is of X.509's version 1, which names no hosts; \
                        it has to have subject alternative names"
                    .to_owned();
            }
            if text.contains("Unsupported") && text.contains("Algorithm") {
                return format!(
                    "the server's certificate, or one above it, is signed by {}, which is not \
                     accepted (SHA-1, or a key that is too short?)",
                    parsed.signature_algorithm.algorithm
                );
            }
            format!("the server's certificate: {error}")
        }
    }
}

fn dates(parsed: &X509Certificate<'_>, now: UnixTime) -> String {
    let validity = parsed.validity();
    let (from, to) = (
        validity.not_before.timestamp(),
        validity.not_after.timestamp(),
    );
    let seconds = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    let clock = date(seconds);
    if seconds < from {
        format!(
            "the server's certificate is not valid before {}, and the clock here says {clock}",
            date(from)
        )
    } else if seconds > to {
        format!(
            "the server's certificate has expired on {}, and the clock here says {clock}",
            date(to)
        )
    } else {
        // Its own dates are right.
        format!(
            "a certificate between the server's and the authority's is not valid now, by the clock \
             here {clock}"
        )
    }
}

fn date(seconds: i64) -> String {
    Timestamp::from_second(seconds).map_or_else(|_| format!("@{seconds}"), |own| own.to_string())
}

fn names(parsed: &X509Certificate<'_>, wanted: &str) -> String {
    let names = alternative_names(parsed);
    if !names.is_empty() {
        let shown = names.iter().take(NAMES).cloned().collect::<Vec<_>>();
        let more = match names.len() - shown.len() {
            0 => String::new(),
            count => format!(" and {count} more"),
        };
        return format!(
            "the server's certificate is not for {wanted}, but for {}{more}; is it the right \
             server, or tls-server-name missing?",
            shown.join(", ")
        );
    }
    let common = parsed.subject().iter_common_name().next();
    match common.and_then(|name| name.as_str().ok()) {
        Some(common) => format!(
            "the server's certificate has no subject alternative name, only the Common Name \
             {common:?}, which does not count any more (RFC 9525); it has to name {wanted}"
        ),
        None => format!("the server's certificate names no host; it has to name {wanted}"),
    }
}

fn alternative_names(parsed: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(extension)) = parsed.subject_alternative_name() else {
        return Vec::new();
    };
    let names = extension.value.general_names.iter();
    names
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some((*name).to_owned()),
            GeneralName::IPAddress(bytes) => address(bytes).map(|own| own.to_string()),
            _ => None,
        })
        .collect()
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    if let Ok(bytes) = <[u8; 4]>::try_from(bytes) {
        return Some(bytes.into());
    }
    <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from)
}

fn unknown_issuer(
    parsed: &X509Certificate<'_>,
    roots: &[CertificateDer<'_>],
    field: &str,
    now: UnixTime,
) -> String {
    let seconds = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    for root in roots {
        let Ok((_, root)) = X509Certificate::from_der(root) else {
            continue;
        };
        let validity = root.validity();
        let (from, to) = (
            validity.not_before.timestamp(),
            validity.not_after.timestamp(),
        );
        if root.subject().as_raw() != parsed.issuer().as_raw() {
            continue;
        }
        let (word, limit) = if seconds > to {
            ("has expired on", to)
        } else if seconds < from {
            ("is not valid before", from)
        } else {
            continue;
        };
        return format!(
            "the authority {} {word} {}, and the clock here says {} ({field})",
            root.subject(),
            date(limit),
            date(seconds)
        );
    }
    format!(
        "the server's certificate is signed by {}, which is not among the authorities ({field})",
        parsed.issuer()
    )
}
