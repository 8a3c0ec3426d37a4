//! Certificates and keys for one run.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair,
};

use crate::address::{CONTROL, cluster_ip};

/// Users who may show a certificate, `<name>.crt` and `<name>.key` with `-` for `:`; the second
/// one has no rights.
const CLIENTS: [&str; 2] = ["system:kube-proxy", "nobody"];

/// Where everything lies that the control plane's flags name.
pub(crate) struct Certificates {
    pub(crate) authority: PathBuf,
    pub(crate) server: PathBuf,
    pub(crate) server_key: PathBuf,
    pub(crate) accounts_key: PathBuf,
    pub(crate) accounts_public: PathBuf,
}

impl Certificates {
    /// Makes an authority, the API server's certificate and the key of service account tokens.
    pub(crate) fn create(directory: &Path) -> Result<Self> {
        let write = |name: &str, text: String| -> Result<PathBuf> {
            let path = directory.join(name);
            std::fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
            Ok(path)
        };
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let name = &mut params.distinguished_name;
        name.push(DnType::CommonName, "kube-proxy-rs e2e");
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;

        let [advertised, service] = [CONTROL, cluster_ip(1)].map(|pair| pair.v4.to_string());
        let names = ["kubernetes.default.svc", "localhost", "127.0.0.1"].map(str::to_owned);
        let names = [&names[..], &[advertised, service]].concat();
        let server_key = KeyPair::generate()?;
        let server = CertificateParams::new(names)?.signed_by(&server_key, &authority)?;
        let accounts = KeyPair::generate()?;
        for user in CLIENTS {
            let mut params = CertificateParams::default();
            params.distinguished_name.push(DnType::CommonName, user);
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
            let key = KeyPair::generate()?;
            let certificate = params.signed_by(&key, &authority)?;
            let name = user.replace(':', "-");
            write(&format!("{name}.crt"), certificate.pem())?;
            write(&format!("{name}.key"), key.serialize_pem())?;
        }
        Ok(Self {
            authority: write("ca.crt", authority.pem())?,
            server: write("server.crt", server.pem())?,
            server_key: write("server.key", server_key.serialize_pem())?,
            accounts_key: write("accounts.key", accounts.serialize_pem())?,
            accounts_public: write("accounts.pub", accounts.public_key_pem())?,
        })
    }
}
