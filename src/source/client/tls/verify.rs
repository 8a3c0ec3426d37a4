//! Whether a server is who it is to be, by Go's crypto/x509 where that differs from webpki:
//! a server's own certificate may be the authority; authorities expire.

mod words;

use super::certificates;
use crate::source::client::access::Pem;
use crate::source::told::Distrust;
use anyhow::{Context, ensure};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme,
};
use std::sync::{Arc, Mutex, PoisonError};
use words::why;
use x509_parser::prelude::{FromDer, X509Certificate};

/// Believes the certificates of some authorities.
#[derive(Debug)]
pub(super) struct Verifier {
    /// Is read again for each handshake: authorities are replaced too.
    source: Option<Pem>,
    roots: Mutex<Arc<Roots>>,
    provider: Arc<CryptoProvider>,
}

#[derive(Debug)]
struct Roots {
    /// What `all` was made of.
    text: Vec<u8>,
    all: Vec<CertificateDer<'static>>,
    field: String,
}

impl Verifier {
    /// # Errors
    /// There is no certificate in it.
    pub(super) fn of_pem(source: Pem, provider: Arc<CryptoProvider>) -> anyhow::Result<Self> {
        let roots = Mutex::new(Arc::new(Roots::read(&source)?));
        Ok(Self {
            source: Some(source),
            roots,
            provider,
        })
    }

    /// # Errors
    /// None so far; as for the other one.
    pub(super) fn of_system(
        all: Vec<CertificateDer<'static>>,
        provider: Arc<CryptoProvider>,
    ) -> anyhow::Result<Self> {
        let roots = Roots {
            text: Vec::new(),
            all,
            field: "the operating system's authorities".to_owned(),
        };
        Ok(Self {
            source: None,
            roots: Mutex::new(Arc::new(roots)),
            provider,
        })
    }

    /// The authorities as their file has them now, or had them when it was last good.
    fn roots(&self) -> Arc<Roots> {
        let mut roots = self.roots.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(source) = &self.source {
            match source.read() {
                Ok(text) if text == roots.text => {}
                Ok(text) => match Roots::of(source, text) {
                    Ok(new) => {
                        tracing::info!("{}: read again", new.field);
                        *roots = Arc::new(new);
                    }
                    Err(error) => tracing::warn!("{error:#}; those before stay in force"),
                },
                Err(error) => tracing::warn!("{error:#}; those before stay in force"),
            }
        }
        Arc::clone(&roots)
    }

    fn check(
        &self,
        roots: &Roots,
        own: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<(), Error> {
        if roots.all.iter().any(|root| root.as_ref() == own.as_ref()) {
            return pinned(own, name, now);
        }
        let mut store = RootCertStore::empty();
        for root in roots.all.iter().filter(|root| is_valid(root, now)) {
            // One that webpki cannot read is no use, but no harm to the others.
            let _ = store.add(root.clone());
        }
        if store.is_empty() {
            return Err(CertificateError::UnknownIssuer.into());
        }
        let verified = WebPkiServerVerifier::builder_with_provider(
            Arc::new(store),
            Arc::clone(&self.provider),
        )
        .build()
        .map_err(|error| Error::General(error.to_string()))?
        .verify_server_cert(own, intermediates, name, &[], now);
        match verified {
            Ok(_) => Ok(()),
            Err(error) if is_authority(own) && self.signed_by_one(roots, own, now) => {
                tracing::debug!("the server's certificate is an authority's: {error}");
                // Go has no objection to that.
                pinned(own, name, now)
            }
            Err(error) => Err(error),
        }
    }

    /// Whether an authority itself has signed a certificate, and does not limit whom it signs.
    fn signed_by_one(&self, roots: &Roots, own: &CertificateDer<'_>, now: UnixTime) -> bool {
        let Ok((_, own)) = X509Certificate::from_der(own) else {
            return false;
        };
        let known = self.provider.signature_verification_algorithms.all;
        roots
            .all
            .iter()
            .filter(|root| is_valid(root, now))
            .any(|root| {
                let Ok((_, root)) = X509Certificate::from_der(root) else {
                    return false;
                };
                let key = root.public_key().subject_public_key.data.as_ref();
                let (message, signature) = (
                    own.tbs_certificate.as_ref(),
                    own.signature_value.data.as_ref(),
                );
                root.subject().as_raw() == own.issuer().as_raw()
                    && root.is_ca()
                    && matches!(root.name_constraints(), Ok(None))
                    && known
                        .iter()
                        .any(|own| own.verify_signature(key, message, signature).is_ok())
            })
    }
}

impl Roots {
    fn read(source: &Pem) -> anyhow::Result<Self> {
        let text = source.read().context("certificate-authority")?;
        Self::of(source, text)
    }

    fn of(source: &Pem, text: Vec<u8>) -> anyhow::Result<Self> {
        let field = source.name("certificate-authority");
        let all = certificates(&text).with_context(|| field.clone())?;
        ensure!(!all.is_empty(), "{field}: there is no certificate in it");
        for root in &all {
            ensure!(
                X509Certificate::from_der(root).is_ok(),
                "{field}: a certificate in it cannot be read"
            );
        }
        Ok(Self { text, all, field })
    }
}

/// Go believes a certificate that is itself among the authorities, whether or not it may sign
/// others: what `openssl req -x509` makes is both.
fn pinned(own: &CertificateDer<'_>, name: &ServerName<'_>, now: UnixTime) -> Result<(), Error> {
    verify_server_name(&ParsedCertificate::try_from(own)?, name)?;
    let Ok((_, parsed)) = X509Certificate::from_der(own) else {
        return Err(CertificateError::BadEncoding.into());
    };
    let seconds = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    let validity = parsed.validity();
    if seconds < validity.not_before.timestamp() {
        return Err(CertificateError::NotValidYet.into());
    }
    if seconds > validity.not_after.timestamp() {
        return Err(CertificateError::Expired.into());
    }
    match parsed.extended_key_usage() {
        Ok(Some(usage)) if !(usage.value.server_auth || usage.value.any) => {
            Err(CertificateError::InvalidPurpose.into())
        }
        _ => Ok(()),
    }
}

fn is_authority(own: &CertificateDer<'_>) -> bool {
    X509Certificate::from_der(own).is_ok_and(|(_, parsed)| parsed.is_ca())
}

/// webpki does not look at an authority's dates.
fn is_valid(root: &CertificateDer<'_>, now: UnixTime) -> bool {
    let seconds = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    X509Certificate::from_der(root).is_ok_and(|(_, parsed)| {
        let validity = parsed.validity();
        (validity.not_before.timestamp()..=validity.not_after.timestamp()).contains(&seconds)
    })
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        own: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let roots = self.roots();
        match self.check(&roots, own, intermediates, name, now) {
            Ok(()) => Ok(ServerCertVerified::assertion()),
            Err(error) => {
                let text = why(&error, own, &roots.all, &roots.field, name, now);
                Err(CertificateError::Other(OtherError(Arc::new(Distrust(text)))).into())
            }
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        own: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, own, signed, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        own: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, own, signed, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// `insecure-skip-tls-verify`: believes everybody.
#[derive(Debug)]
pub(super) struct Anything(pub(super) Arc<CryptoProvider>);

impl ServerCertVerifier for Anything {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
