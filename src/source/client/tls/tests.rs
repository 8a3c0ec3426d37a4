//! Servers' certificates, made here, over real handshakes: those that Go's crypto/tls accepts
//! are accepted, and for the others there is one line that says why.

use super::*;
use crate::source::describe;
use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    SignatureAlgorithm,
};
use rustls::ServerConfig;
use rustls::pki_types::ServerName;
use tokio_rustls::{TlsAcceptor, TlsConnector};

const DAY: i64 = 24 * 3600;

/// Seconds from now.
fn moment(from_now: i64) -> ::time::OffsetDateTime {
    let seconds = Timestamp::now().as_second() + from_now;
    ::time::OffsetDateTime::from_unix_timestamp(seconds).expect("a time")
}

fn params(name: &str, alternatives: &[&str]) -> CertificateParams {
    let names: Vec<String> = alternatives.iter().map(|own| (*own).to_owned()).collect();
    let mut params = CertificateParams::new(names).expect("names");
    params.distinguished_name.remove(DnType::CommonName);
    params.distinguished_name.push(DnType::CommonName, name);
    (params.not_before, params.not_after) = (moment(-DAY), moment(DAY));
    params
}

fn authority_params() -> CertificateParams {
    let mut params = params("some-ca", &[]);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
}

fn key(algorithm: &'static SignatureAlgorithm) -> KeyPair {
    KeyPair::generate_for(algorithm).expect("a key")
}

/// A server's chain and key, and the authority that the client is given.
struct Server {
    chain: Vec<CertificateDer<'static>>,
    key: KeyPair,
    authority: String,
}

/// Signed by an authority.
fn signed(
    own: CertificateParams,
    authority: CertificateParams,
    algorithm: &'static SignatureAlgorithm,
) -> Server {
    let signing = key(algorithm);
    let root = authority.self_signed(&signing).expect("an authority");
    let issuer = Issuer::new(authority, signing);
    let key = key(algorithm);
    let made = own.signed_by(&key, &issuer).expect("a certificate");
    Server {
        chain: vec![made.der().clone()],
        key,
        authority: root.pem(),
    }
}

/// Its own authority.
fn own_authority(own: CertificateParams) -> Server {
    let key = key(&rcgen::PKCS_ECDSA_P256_SHA256);
    let made = own.self_signed(&key).expect("a certificate");
    Server {
        chain: vec![made.der().clone()],
        authority: made.pem(),
        key,
    }
}

/// What comes of a handshake with the server as `name`; the line, if it fails.
async fn shake(server: &Server, options: &Tls, name: &str) -> Result<(), String> {
    let key = PrivateKeyDer::try_from(server.key.serialize_der()).expect("a key");
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(server.chain.clone(), key)
        .expect("a certificate");
    let (near, far) = tokio::io::duplex(1 << 16);
    let accept = TlsAcceptor::from(Arc::new(config)).accept(far);
    let client = Arc::new(config_of(options));
    let name = ServerName::try_from(name.to_owned()).expect("a name");
    let connect = TlsConnector::from(client).connect(name, near);
    let (_, connected) = tokio::join!(accept, connect);
    connected.map(|_| ()).map_err(|error| describe(&error))
}

fn config_of(options: &Tls) -> ClientConfig {
    config(options).expect("a configuration")
}

fn believing(server: &Server) -> Tls {
    Tls {
        authority: Authority::These(Pem::Inline(server.authority.clone().into())),
        ..Tls::default()
    }
}

#[tokio::test]
async fn what_go_accepts_is_accepted() {
    let both = ["10.9.0.2", "api.example"];
    let leaf = || params("api", &both);
    let mut ca_true = params("self", &both);
    ca_true.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let mut for_any = leaf();
    for_any.extended_key_usages = vec![ExtendedKeyUsagePurpose::Any];
    for (what, server) in [
        (
            "a chain",
            signed(leaf(), authority_params(), &rcgen::PKCS_ECDSA_P256_SHA256),
        ),
        (
            "P-384",
            signed(leaf(), authority_params(), &rcgen::PKCS_ECDSA_P384_SHA384),
        ),
        (
            "P-521",
            signed(leaf(), authority_params(), &rcgen::PKCS_ECDSA_P521_SHA512),
        ),
        (
            "P-521 with SHA-256",
            signed(leaf(), authority_params(), &rcgen::PKCS_ECDSA_P521_SHA256),
        ),
        (
            "Ed25519",
            signed(leaf(), authority_params(), &rcgen::PKCS_ED25519),
        ),
        (
            "RSA",
            signed(leaf(), authority_params(), &rcgen::PKCS_RSA_SHA512),
        ),
        (
            "CA:TRUE, signed by another",
            signed(
                ca_true.clone(),
                authority_params(),
                &rcgen::PKCS_ECDSA_P256_SHA256,
            ),
        ),
        ("its own authority, CA:TRUE", own_authority(ca_true)),
        ("its own authority, CA:FALSE", own_authority(leaf())),
        ("its own authority, for any use", own_authority(for_any)),
    ] {
        for name in both {
            let result = shake(&server, &believing(&server), name).await;
            assert_eq!(result, Ok(()), "{what} {name}");
        }
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_certificate_is_said_in_one_line() {
    let names = ["10.9.0.2"];
    let p256 = &rcgen::PKCS_ECDSA_P256_SHA256;
    let leaf = || params("api", &names);
    let mut expired = leaf();
    (expired.not_before, expired.not_after) = (moment(-2 * DAY), moment(-DAY));
    let mut early = leaf();
    (early.not_before, early.not_after) = (moment(DAY), moment(2 * DAY));
    let mut old_authority = authority_params();
    (old_authority.not_before, old_authority.not_after) = (moment(-2 * DAY), moment(-DAY));
    let mut clients_only = leaf();
    clients_only.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let mut is_authority = leaf();
    is_authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let mut limiting = authority_params();
    limiting.name_constraints = Some(rcgen::NameConstraints {
        permitted_subtrees: vec![rcgen::GeneralSubtree::DnsName("example".into())],
        excluded_subtrees: Vec::new(),
    });
    let mut own_expired = leaf();
    (own_expired.not_before, own_expired.not_after) = (moment(-2 * DAY), moment(-DAY));
    let other = signed(leaf(), authority_params(), p256);
    let mut of_another = signed(leaf(), authority_params(), p256);
    of_another.authority = other.authority.clone();
    let mut stranger = signed(leaf(), authority_params(), p256);
    stranger.authority = own_authority(params("another-ca", &[])).authority;
    let many: Vec<String> = (0..40).map(|own| format!("n{own}.example")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    for (server, says) in [
        (
            signed(expired, authority_params(), p256),
            "the server's certificate has expired on ",
        ),
        (
            signed(early, authority_params(), p256),
            "the server's certificate is not valid before ",
        ),
        (
            own_authority(own_expired),
            "the server's certificate has expired on ",
        ),
        (
            signed(leaf(), old_authority, p256),
            "the authority CN=some-ca has expired on ",
        ),
        (
            signed(
                params("x", &["b.example", "10.9.0.9"]),
                authority_params(),
                p256,
            ),
            "the server's certificate is not for 10.9.0.2, but for b.example, 10.9.0.9; ",
        ),
        (
            own_authority(params("x", &["b.example"])),
            "the server's certificate is not for 10.9.0.2, but for b.example; ",
        ),
        (
            signed(params("x", &many), authority_params(), p256),
            "n9.example and 30 more; ",
        ),
        (
            signed(params("10.9.0.2", &[]), authority_params(), p256),
            "the server's certificate has no subject alternative name, only the Common Name \
             \"10.9.0.2\"",
        ),
        (
            signed(clients_only, authority_params(), p256),
            "is not for servers",
        ),
        (
            signed(is_authority, limiting, p256),
            "is that of an authority (CA:TRUE)",
        ),
        (
            of_another,
            "is certificate-authority-data of another cluster?",
        ),
        (
            stranger,
            "is signed by CN=some-ca, which is not among the authorities (certificate-authority-data)",
        ),
    ] {
        let error = shake(&server, &believing(&server), "10.9.0.2").await;
        let error = error.expect_err(says);
        assert!(error.contains(says), "{error}");
        if says.contains("expired") || says.contains("before") {
            assert!(error.contains("and the clock here says 20"), "{error}");
        }
        let insecure = Tls {
            insecure: true,
            ..Tls::default()
        };
        assert_eq!(
            shake(&server, &insecure, "10.9.0.2").await,
            Ok(()),
            "{says}"
        );
    }
}

#[tokio::test]
async fn an_authority_that_is_replaced_is_believed_in_the_next_handshake() {
    let scratch = e2e::cleanup::ScratchDir::create("authority").expect("a directory");
    let path = scratch.path().join("ca.crt");
    let p256 = &rcgen::PKCS_ECDSA_P256_SHA256;
    let [first, second] =
        [0, 1].map(|_| signed(params("a", &["a.example"]), authority_params(), p256));
    std::fs::write(&path, &first.authority).expect("a file");
    let options = Tls {
        authority: Authority::These(Pem::File(path.clone())),
        ..Tls::default()
    };
    // One configuration, as for a pool of connections.
    let verifier = verifier(&options.authority, &Arc::new(aws_lc_rs::default_provider()));
    let verifier = verifier.expect("a verifier");
    let check = |server: &Server| {
        use rustls::client::danger::ServerCertVerifier;
        let name = ServerName::try_from("a.example").expect("a name");
        let now = rustls::pki_types::UnixTime::now();
        verifier
            .verify_server_cert(&server.chain[0], &[], &name, &[], now)
            .is_ok()
    };
    assert_eq!([check(&first), check(&second)], [true, false]);
    std::fs::write(&path, &second.authority).expect("a file");
    assert_eq!([check(&first), check(&second)], [false, true]);
    // A file that is not there or not whole takes nothing away.
    std::fs::write(&path, "-----BEGIN CERT").expect("a file");
    assert_eq!([check(&first), check(&second)], [false, true]);
    std::fs::remove_file(&path).expect("the file");
    assert_eq!([check(&first), check(&second)], [false, true]);
}

#[test]
fn what_cannot_be_used_is_named() {
    let server = own_authority(params("a", &["a.example"]));
    let inline = |text: &str| Pem::Inline(text.as_bytes().to_vec());
    let authority = |pem| Tls {
        authority: Authority::These(pem),
        ..Tls::default()
    };
    let identity = |certificate, key| Tls {
        insecure: true,
        identity: Some((certificate, key)),
        ..Tls::default()
    };
    let other = key(&rcgen::PKCS_ECDSA_P256_SHA256).serialize_pem();
    for (options, says) in [
        (
            authority(inline("")),
            "certificate-authority-data: there is no certificate in it",
        ),
        (
            authority(Pem::File("/nowhere/ca.crt".into())),
            "certificate-authority: /nowhere/ca.crt: No such file",
        ),
        (
            authority(inline(
                "-----BEGIN CERTIFICATE-----\neA==\n-----END CERTIFICATE-----\n",
            )),
            "a certificate in it cannot be read",
        ),
        (
            identity(inline(""), inline(&other)),
            "client-certificate-data: there is no certificate in it",
        ),
        (
            identity(inline(&server.authority), inline("")),
            "client-key-data: there is no private key in it",
        ),
        (
            identity(inline(&server.authority), inline(&other)),
            "client-certificate-data with client-key-data",
        ),
        (
            identity(
                inline(&server.authority),
                Pem::File("/nowhere/a.key".into()),
            ),
            "client-key: /nowhere/a.key",
        ),
    ] {
        let error = format!("{:#}", config(&options).expect_err(says));
        assert!(error.contains(says), "{error}");
    }
    for algorithm in [&rcgen::PKCS_ECDSA_P521_SHA512, &rcgen::PKCS_ED25519] {
        let key = key(algorithm);
        let certificate = params("me", &[]).self_signed(&key).expect("a certificate");
        config(&identity(
            inline(&certificate.pem()),
            inline(&key.serialize_pem()),
        ))
        .expect("usable");
    }
}

#[test]
fn http2_unless_it_is_switched_off() {
    assert_eq!(protocols(false), [b"h2".to_vec(), b"http/1.1".to_vec()]);
    assert_eq!(protocols(true), [b"http/1.1".to_vec()]);
}
