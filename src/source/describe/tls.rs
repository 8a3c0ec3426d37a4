//! What rustls says of a handshake.

use crate::source::told::Distrust;
use rustls::{AlertDescription, CertificateError, Error, PeerIncompatible};

pub(super) fn describe_tls(error: &Error) -> String {
    match error {
        Error::InvalidCertificate(CertificateError::Other(other)) => {
            match other.0.downcast_ref::<Distrust>() {
                Some(words) => words.to_string(),
                None => format!("the server's certificate: {error}"),
            }
        }
        Error::InvalidMessage(_) => {
            "the answer is not TLS; is the server one for http://?".to_owned()
        }
        Error::AlertReceived(alert) => alerted(*alert),
        Error::PeerIncompatible(PeerIncompatible::ServerDoesNotSupportTls12Or13)
        | Error::PeerIncompatible(PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig) => {
            "the server has neither TLS 1.2 nor 1.3".to_owned()
        }
        other => other.to_string(),
    }
}

/// The peer's reason to end the connection (RFC 8446, section 6.2).
fn alerted(alert: AlertDescription) -> String {
    use AlertDescription as A;
    let words = match alert {
        A::CertificateRequired => "it wants a client certificate",
        A::BadCertificate | A::CertificateUnknown | A::UnknownCA | A::AccessDenied => {
            "it does not accept the client certificate"
        }
        A::CertificateExpired => "the client certificate has expired, by its clock",
        A::CertificateRevoked => "the client certificate is revoked",
        A::ProtocolVersion => "it has neither TLS 1.2 nor 1.3",
        A::HandshakeFailure => "it has no cipher or key exchange in common with us",
        A::UnrecognisedName => "it knows no host of this name (SNI)",
        A::NoApplicationProtocol => "it has neither HTTP/2 nor HTTP/1.1",
        other => return format!("the server ended TLS by the alert {other:?}"),
    };
    format!("the server ended TLS: {words}")
}
