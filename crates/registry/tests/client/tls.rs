use std::fs;
use std::path::Path;
use std::sync::Arc;

use registry::client::{Access, Client, Credentials, Kind, Settings, Wanted};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;

use crate::scripted::{Reply, Scripted};
use crate::{basic, name, settings};

const MANIFEST: &str =
    r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#;

/// A certificate that signs itself.
struct Identity {
    pem: String,
    key_pem: String,
    certificate: rustls::pki_types::CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
}

fn identity(names: &[&str]) -> Identity {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    Identity {
        pem: made.cert.pem(),
        key_pem: made.signing_key.serialize_pem(),
        certificate: made.cert.der().clone(),
        key: PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap(),
    }
}

fn acceptor(server: Identity, client: Option<&Identity>) -> tokio_rustls::TlsAcceptor {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap();
    let builder = match client {
        None => builder.with_no_client_auth(),
        Some(client) => {
            let mut roots = rustls::RootCertStore::empty();
            roots.add(client.certificate.clone()).unwrap();
            let verifier = rustls::server::WebPkiClientVerifier::builder_with_provider(
                Arc::new(roots),
                provider,
            );
            builder.with_client_cert_verifier(verifier.build().unwrap())
        }
    };
    let config = builder
        .with_single_cert(vec![server.certificate], server.key)
        .unwrap();
    tokio_rustls::TlsAcceptor::from(Arc::new(config))
}

/// The registry is called `registry.test` and found on loopback through a server line of hosts.toml, so that nothing about
/// it is implicitly insecure.
fn with_folder(folder: &Path) -> Settings {
    Settings {
        folders: vec![folder.to_owned()],
        ..settings()
    }
}

async fn manifest(
    server: &Scripted,
    settings: Settings,
) -> Result<registry::client::Fetched, registry::client::Error> {
    let repository = Client::new(settings)
        .repository(&name(server, "a/b"), &Credentials::None, Access::Pull)
        .await?;
    repository.manifest(Wanted::Tag("x")).await
}

#[tokio::test]
async fn loopback_is_insecure_as_in_docker() {
    let server = Scripted::tls(acceptor(identity(&["elsewhere"]), None), |_| {
        Reply::ok(MANIFEST)
    })
    .await;
    manifest(&server, settings()).await.unwrap();
}

#[tokio::test]
async fn another_registry_is_checked_against_the_cas() {
    let own = identity(&["127.0.0.1"]);
    let pem = own.pem.clone();
    let server = Scripted::tls(acceptor(own, None), |_| Reply::ok(MANIFEST)).await;
    let folder = tempfile::tempdir().unwrap();
    let of_registry = folder.path().join("registry.test");
    fs::create_dir(&of_registry).unwrap();
    let toml = |ca: &str| {
        let text = format!("server = \"https://{}\"\n{ca}", server.host());
        fs::write(of_registry.join("hosts.toml"), text).unwrap();
    };
    let asked = async || {
        let reference = oci::Reference::parse("registry.test/a/b").unwrap();
        let repository = Client::new(with_folder(folder.path()))
            .repository(&reference, &basic(), Access::Pull)
            .await?;
        repository.manifest(Wanted::Tag("x")).await
    };
    toml("");
    let error = asked().await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unreachable);
    assert!(error.to_string().contains("certificate"), "{error}");
    assert!(server.asked().is_empty());

    fs::write(of_registry.join("own.crt"), &pem).unwrap();
    asked().await.unwrap();

    fs::remove_file(of_registry.join("own.crt")).unwrap();
    fs::write(of_registry.join("other.pem"), &pem).unwrap();
    toml("ca = \"other.pem\"");
    asked().await.unwrap();

    toml("skip_verify = true");
    asked().await.unwrap();
}

#[tokio::test]
async fn who_we_are_is_shown_to_who_asks() {
    let client = identity(&["client"]);
    let server = Scripted::tls(acceptor(identity(&["127.0.0.1"]), Some(&client)), |_| {
        Reply::ok(MANIFEST)
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let of_registry = folder.path().join(server.host());
    fs::create_dir(&of_registry).unwrap();
    assert!(manifest(&server, with_folder(folder.path())).await.is_err());
    fs::write(of_registry.join("me.cert"), &client.pem).unwrap();
    let error = manifest(&server, with_folder(folder.path()))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("missing key"), "{error}");
    fs::write(of_registry.join("me.key"), &client.key_pem).unwrap();
    manifest(&server, with_folder(folder.path())).await.unwrap();
}
