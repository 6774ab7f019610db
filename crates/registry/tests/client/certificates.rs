//! Certificates that people really have, and what is said of those that are no good.

use std::fs;
use std::sync::Arc;

use oci::Reference;
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair, date_time_ymd};
use registry::client::{Access, Client, Credentials, Error, Fetched, Insecure, Settings, Wanted};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{DigitallySignedStruct, DistinguishedName, ServerConfig, SignatureScheme};
use tempfile::TempDir;
use tokio_rustls::TlsAcceptor;

use crate::scripted::{Reply, Scripted};
use crate::settings;

const MANIFEST: &str =
    r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#;
const OLD_CERTIFICATE: &str = include_str!("version1/certificate.pem");
const OLD_KEY: &str = include_str!("version1/key.pem");

struct Identity {
    certificate: String,
    key: String,
}

/// What `openssl req -x509` makes: signed by itself, and a CA.
fn own_ca(names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Identity {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    change(&mut params);
    let key = KeyPair::generate().unwrap();
    Identity {
        certificate: params.self_signed(&key).unwrap().pem(),
        key: key.serialize_pem(),
    }
}

fn old() -> Identity {
    Identity {
        certificate: OLD_CERTIFICATE.to_owned(),
        key: OLD_KEY.to_owned(),
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn acceptor(
    identity: &Identity,
    versions: &[&'static rustls::SupportedProtocolVersion],
    wants_client: bool,
) -> TlsAcceptor {
    let chain = CertificateDer::from_pem_slice(identity.certificate.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).unwrap();
    let key = provider().key_provider.load_private_key(key).unwrap();
    let own = SingleCertAndKey::from(CertifiedKey::new(vec![chain], key));
    let builder = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(versions)
        .unwrap();
    let builder = match wants_client {
        true => builder.with_client_cert_verifier(Arc::new(Anybody)),
        false => builder.with_no_client_auth(),
    };
    TlsAcceptor::from(Arc::new(builder.with_cert_resolver(Arc::new(own))))
}

/// Wants a certificate and takes any, as a server with rules of its own.
#[derive(Debug)]
struct Anybody;

impl ClientCertVerifier for Anybody {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider()
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// A registry that is called `registry.test`, so that nothing about it is implicitly insecure, and is found on loopback through
/// its `hosts.toml`.
struct Registry {
    folders: TempDir,
    _server: Scripted,
}

impl Registry {
    async fn behind(acceptor: TlsAcceptor) -> Self {
        Registry::served(Scripted::tls(acceptor, |_| Reply::ok(MANIFEST)).await)
    }

    fn served(server: Scripted) -> Self {
        let folders = tempfile::tempdir().unwrap();
        let own = folders.path().join("registry.test");
        fs::create_dir(&own).unwrap();
        let toml = format!("server = \"https://{}\"\n", server.host());
        fs::write(own.join("hosts.toml"), toml).unwrap();
        Registry {
            folders,
            _server: server,
        }
    }

    fn put(&self, file: &str, text: &str) {
        fs::write(self.folders.path().join("registry.test").join(file), text).unwrap();
    }

    async fn manifest(&self, insecure: bool) -> Result<Fetched, Error> {
        let settings = Settings {
            folders: vec![self.folders.path().to_owned()],
            insecure: insecure
                .then(|| Insecure::Host("registry.test".to_owned()))
                .into_iter()
                .collect(),
            ..settings()
        };
        let name = Reference::parse("registry.test/a/b").unwrap();
        let repository = Client::new(settings)
            .repository(&name, &Credentials::None, Access::Pull)
            .await?;
        repository.manifest(Wanted::Tag("x")).await
    }

    /// The error's text without host and step.
    async fn problem(&self) -> String {
        let error = self.manifest(false).await.unwrap_err();
        assert!(!error.host().is_empty() && !error.step().is_empty() || error.status().is_none());
        error.problem().to_owned()
    }
}

fn x509(text: &str) -> String {
    format!("tls: failed to verify certificate: x509: {text}")
}

const LATEST: &[&rustls::SupportedProtocolVersion] = rustls::ALL_VERSIONS;

#[tokio::test]
async fn a_certificate_in_the_trusted_files_is_good_for_itself_also_when_it_is_a_ca() {
    let identity = own_ca(&["127.0.0.1"], |_| {});
    let registry = Registry::behind(acceptor(&identity, LATEST, false)).await;
    assert_eq!(
        registry.problem().await,
        x509("certificate signed by unknown authority")
    );
    registry.put("ca.crt", &identity.certificate);
    registry.manifest(false).await.unwrap();
    // Another one for the same name is another one.
    registry.put("ca.crt", &own_ca(&["127.0.0.1"], |_| {}).certificate);
    assert_eq!(
        registry.problem().await,
        x509("certificate signed by unknown authority")
    );
}

#[tokio::test]
async fn a_trusted_certificate_still_has_to_be_for_this_host() {
    let check = async |names: &[&str], expect: &str| {
        let identity = own_ca(names, |_| {});
        let registry = Registry::behind(acceptor(&identity, LATEST, false)).await;
        // Go tells this one also of a certificate that nobody trusts.
        assert_eq!(registry.problem().await, x509(expect));
        registry.put("ca.crt", &identity.certificate);
        assert_eq!(registry.problem().await, x509(expect));
    };
    check(
        &["10.9.9.9", "10.9.9.8"],
        "certificate is valid for 10.9.9.9, 10.9.9.8, not 127.0.0.1",
    )
    .await;
    check(
        &["a.example"],
        "cannot validate certificate for 127.0.0.1 because it doesn't contain any IP SANs",
    )
    .await;
}

#[tokio::test]
async fn a_host_in_the_common_name_is_none() {
    let identity = own_ca(&[], |params| {
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, "127.0.0.1");
    });
    let registry = Registry::behind(acceptor(&identity, LATEST, false)).await;
    registry.put("ca.crt", &identity.certificate);
    assert_eq!(
        registry.problem().await,
        x509("certificate relies on legacy Common Name field, use SANs instead")
    );
}

#[tokio::test]
async fn a_trusted_certificate_ends() {
    let identity = own_ca(&["127.0.0.1"], |params| {
        params.not_before = date_time_ymd(2019, 1, 1);
        params.not_after = date_time_ymd(2020, 1, 1);
    });
    let registry = Registry::behind(acceptor(&identity, LATEST, false)).await;
    registry.put("ca.crt", &identity.certificate);
    let problem = registry.problem().await;
    let expect = x509("certificate has expired or is not yet valid: current time ");
    assert!(problem.starts_with(&expect), "{problem}");
    assert!(
        problem.ends_with(" is after 2020-01-01T00:00:00Z"),
        "{problem}"
    );
}

#[tokio::test]
async fn a_trusted_certificate_has_to_be_for_servers() {
    let identity = own_ca(&["127.0.0.1"], |params| {
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    });
    let registry = Registry::behind(acceptor(&identity, LATEST, false)).await;
    registry.put("ca.crt", &identity.certificate);
    assert_eq!(
        registry.problem().await,
        x509("certificate specifies an incompatible key usage")
    );
}

#[tokio::test]
async fn a_client_certificate_of_version_1_is_shown() {
    let own = own_ca(&["127.0.0.1"], |_| {});
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let registry = Registry::behind(acceptor(&own, &[version], true)).await;
        registry.put("ca.crt", &own.certificate);
        registry.put("me.cert", OLD_CERTIFICATE);
        registry.put("me.key", OLD_KEY);
        registry.manifest(false).await.unwrap();
    }
}

#[tokio::test]
async fn a_client_certificate_that_is_no_good_is_named_with_the_reason() {
    let own = own_ca(&["127.0.0.1"], |_| {});
    let registry = Registry::behind(acceptor(&own, LATEST, true)).await;
    registry.put("me.cert", OLD_CERTIFICATE);
    registry.put("me.key", &own.key);
    let problem = registry.problem().await;
    assert!(
        problem.contains("registry.test/me.key cannot be used: it is not the key of"),
        "{problem}"
    );
    registry.put("me.cert", "nonsense");
    let problem = registry.problem().await;
    assert!(
        problem.contains("registry.test/me.cert cannot be used: it holds no certificate"),
        "{problem}"
    );
    registry.put("me.cert", OLD_CERTIFICATE);
    registry.put("me.key", "nonsense");
    let problem = registry.problem().await;
    assert!(
        problem.contains("registry.test/me.key cannot be used: it holds no private key"),
        "{problem}"
    );
}

#[tokio::test]
async fn an_insecure_registry_may_have_a_certificate_of_version_1() {
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let registry = Registry::behind(acceptor(&old(), &[version], false)).await;
        registry.manifest(true).await.unwrap();
        assert_eq!(
            registry.problem().await,
            x509(
                "cannot validate certificate for 127.0.0.1 because it doesn't contain any IP SANs"
            )
        );
    }
}

#[tokio::test]
async fn what_speaks_no_tls_is_told_in_the_words_of_go() {
    let registry = Registry::served(Scripted::new(|_| Reply::ok(MANIFEST)).await);
    // The scripted server hangs up on TLS; this one answers as HTTP servers do.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    registry.put("hosts.toml", &format!("server = \"https://{address}\"\n"));
    let serving = tokio::spawn(async move {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut hello = [0; 64];
            let _ = stream.read(&mut hello).await;
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        }
    });
    assert_eq!(
        registry.problem().await,
        "http: server gave HTTP response to HTTPS client"
    );
    serving.abort();
}
