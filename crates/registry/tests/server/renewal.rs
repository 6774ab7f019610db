//! What an administrator changes while a registry is served.

use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use http::Method;
use registry::server::{Auth, Htpasswd, Readers, Server, Settings, Tls};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::home::Home;

#[tokio::test]
async fn people_come_and_go() {
    let file = |user: &str, password: &str| {
        let hash = bcrypt::hash(password, 4).unwrap();
        format!("{user}:{hash}\n")
    };
    let users = Arc::new(Htpasswd::parse(&file("alice", "old")).unwrap());
    let home = Home::with(|s| {
        s.auth = Auth::Basic {
            users: Arc::clone(&users),
            readers: Readers::Users,
        }
    })
    .await;
    let asked = async |user: &str, password: &str| {
        let both = format!("{user}:{password}");
        let both = base64::engine::general_purpose::STANDARD.encode(both);
        let header = ("authorization", &*format!("Basic {both}"));
        let reply = home.ask(Method::GET, "/v2/", &[header], b"").await;
        reply.status
    };
    assert_eq!(asked("alice", "old").await, 200);
    users.replace(&file("alice", "new")).unwrap();
    assert_eq!(asked("alice", "old").await, 401);
    assert_eq!(asked("alice", "new").await, 200);
    assert!(users.replace("nonsense").is_err());
    assert_eq!(asked("alice", "new").await, 200);
    users.replace(&file("bob", "new")).unwrap();
    assert_eq!(asked("alice", "new").await, 401);
    assert_eq!(asked("bob", "new").await, 200);
}

/// Writes a new certificate and its key, and gives the certificate.
fn issue(folder: &Path) -> CertificateDer<'static> {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    std::fs::write(folder.join("cert.pem"), made.cert.pem()).unwrap();
    std::fs::write(folder.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
    made.cert.der().clone()
}

#[tokio::test]
async fn certificates_are_renewed() {
    let folder = tempfile::tempdir().unwrap();
    let first = issue(folder.path());
    let mut settings = Settings::new(folder.path().join("root"), ([127, 0, 0, 1], 0).into());
    settings.collect_every = None;
    settings.tls = Some(Tls {
        certificate: folder.path().join("cert.pem"),
        key: folder.path().join("key.pem"),
        client_ca: None,
    });
    let server = Server::bind(settings).await.unwrap();
    let (address, renewal) = (server.address().unwrap(), server.renewal());
    let (end, ended) = tokio::sync::oneshot::channel::<()>();
    let serving = tokio::spawn(server.run(async {
        drop(ended.await);
    }));
    let shows = async |certificate: &CertificateDer<'static>| {
        let mut roots = RootCertStore::empty();
        roots.add(certificate.clone()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let connector = TlsConnector::from(Arc::new(config));
        connector.connect(name, stream).await.is_ok()
    };
    assert!(shows(&first).await);
    let second = issue(folder.path());
    assert!(shows(&first).await && !shows(&second).await);
    renewal.renew().unwrap();
    assert!(!shows(&first).await && shows(&second).await);
    // What cannot be read changes nothing.
    std::fs::write(folder.path().join("key.pem"), "nonsense").unwrap();
    assert!(renewal.renew().is_err());
    assert!(shows(&second).await);
    drop(end);
    serving.await.unwrap();
}
