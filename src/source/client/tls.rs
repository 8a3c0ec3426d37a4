//! TLS with the API server, on rustls with AWS' cryptography, which unlike ring has the curve
//! P-521 and SHA-512 with any curve, as Go has.

mod verify;

use super::access::{Authority, Pem, Tls};
use anyhow::{Context, anyhow, ensure};
use rustls::ClientConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::sync::Arc;
use verify::{Anything, Verifier};

/// client-go's switch for proxies and servers that say that they have HTTP/2, and have not.
const WITHOUT_HTTP2: &str = "DISABLE_HTTP2";

/// What a connection needs for its handshake.
///
/// # Errors
/// A certificate or key cannot be used; names its field or file.
pub(super) fn config(tls: &Tls) -> anyhow::Result<ClientConfig> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .context("TLS")?
        .dangerous();
    let builder = if tls.insecure {
        builder.with_custom_certificate_verifier(Arc::new(Anything(provider)))
    } else {
        let verifier = verifier(&tls.authority, &provider)?;
        builder.with_custom_certificate_verifier(Arc::new(verifier))
    };
    let mut config = match &tls.identity {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let chain = chain(certificate)?;
            let secret = key.read().context("client-key")?;
            let secret = PrivateKeyDer::from_pem_slice(&secret).map_err(|_| {
                anyhow!("{}: there is no private key in it", key.name("client-key"))
            })?;
            builder
                .with_client_auth_cert(chain, secret)
                .with_context(|| {
                    format!(
                        "{} with {}",
                        certificate.name("client-certificate"),
                        key.name("client-key")
                    )
                })?
        }
    };
    config.alpn_protocols =
        protocols(std::env::var_os(WITHOUT_HTTP2).is_some_and(|own| !own.is_empty()));
    Ok(config)
}

fn protocols(without_http2: bool) -> Vec<Vec<u8>> {
    let all: [&[u8]; 2] = [b"h2", b"http/1.1"];
    let from = usize::from(without_http2);
    all[from..].iter().map(|own| own.to_vec()).collect()
}

fn chain(certificate: &Pem) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let name = || certificate.name("client-certificate");
    let text = certificate.read().context("client-certificate")?;
    let chain = certificates(&text).with_context(name)?;
    ensure!(
        !chain.is_empty(),
        "{}: there is no certificate in it",
        name()
    );
    Ok(chain)
}

fn verifier(authority: &Authority, provider: &Arc<CryptoProvider>) -> anyhow::Result<Verifier> {
    match authority {
        Authority::These(pem) => Verifier::of_pem(pem.clone(), Arc::clone(provider)),
        Authority::System => {
            let found = rustls_native_certs::load_native_certs();
            ensure!(
                !found.certs.is_empty(),
                "there is no certificate-authority, and the operating system has no certificates"
            );
            Verifier::of_system(found.certs, Arc::clone(provider))
        }
    }
}

/// The certificates of a PEM text; other sections are left alone.
fn certificates(text: &[u8]) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    CertificateDer::pem_slice_iter(text)
        .collect::<Result<_, _>>()
        .map_err(|error| anyhow!("this is not PEM: {error}"))
}

#[cfg(test)]
mod tests;
