//! Logging in, and TLS.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::Method;
use registry::server::{
    Auth, Htpasswd, Issuer, PlainHttp, PublicKey, Readers, ServeError, Server, Settings, Tls,
};
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::json;

use crate::home::{Home, Reply};

fn users() -> Arc<Htpasswd> {
    let hash = bcrypt::hash("secret", 4).unwrap();
    Arc::new(Htpasswd::parse(&format!("# people\nalice:{hash}\n\n")).unwrap())
}

fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

async fn with_auth(home: &Home, method: Method, path: &str, authorization: &str) -> Reply {
    home.ask(method, path, &[("authorization", authorization)], b"")
        .await
}

#[tokio::test]
async fn names_and_passwords() {
    let home = Home::with(|s| {
        s.auth = Auth::Basic {
            users: users(),
            readers: Readers::Users,
        }
    })
    .await;
    let reply = home.get("/v2/").await;
    reply.refused(401, "UNAUTHORIZED");
    assert!(reply.header("www-authenticate").starts_with("Basic "));
    for path in [
        "/v2/_catalog",
        "/v2/x/tags/list",
        "/",
        "/metrics",
        "/nonsense",
        "/v2/x/manifests/latest",
    ] {
        home.get(path).await.refused(401, "UNAUTHORIZED");
    }
    for _ in 0..2 {
        with_auth(&home, Method::GET, "/v2/", &basic("alice", "secret"))
            .await
            .expect(200);
        with_auth(&home, Method::GET, "/v2/", &basic("alice", "wrong"))
            .await
            .expect(401);
        with_auth(&home, Method::GET, "/v2/", &basic("bob", "secret"))
            .await
            .expect(401);
    }
    with_auth(&home, Method::GET, "/v2/", "Basic !!!")
        .await
        .expect(401);
    with_auth(&home, Method::GET, "/v2/", "Bearer x")
        .await
        .expect(401);
    with_auth(
        &home,
        Method::POST,
        "/v2/x/blobs/uploads/",
        &basic("alice", "secret"),
    )
    .await
    .expect(202);
}

#[tokio::test]
async fn everyone_may_read_but_not_write() {
    let home = Home::with(|s| {
        s.auth = Auth::Basic {
            users: users(),
            readers: Readers::Anyone,
        }
    })
    .await;
    home.get("/v2/").await.expect(200);
    home.get("/v2/x/tags/list").await.expect(404);
    home.ask(Method::POST, "/v2/x/blobs/uploads/", &[], b"")
        .await
        .expect(401);
    home.delete("/v2/x/manifests/latest").await.expect(401);
    with_auth(&home, Method::GET, "/v2/", &basic("alice", "wrong"))
        .await
        .expect(401);
}

#[tokio::test]
async fn tokens_of_our_own() {
    let home = Home::with(|s| {
        s.auth = Auth::OwnTokens {
            users: users(),
            readers: Readers::Anyone,
        }
    })
    .await;
    let reply = home
        .ask(Method::POST, "/v2/x/blobs/uploads/", &[], b"")
        .await;
    reply.refused(401, "UNAUTHORIZED");
    let challenge = reply.header("www-authenticate");
    let expect = format!(
        "Bearer realm=\"http://{}/token\",service=\"tare-registry\",scope=\"repository:x:pull,push\"",
        home.address
    );
    assert_eq!(challenge, expect);
    let asking = "/token?service=tare-registry&scope=repository:x:pull,push";
    let token = |reply: Reply| {
        format!(
            "Bearer {}",
            reply.expect(200).json()["token"].as_str().unwrap()
        )
    };
    let alice = token(with_auth(&home, Method::GET, asking, &basic("alice", "secret")).await);
    let nobody = token(home.get(asking).await);
    with_auth(&home, Method::GET, asking, &basic("alice", "wrong"))
        .await
        .expect(401);
    with_auth(&home, Method::GET, asking, "Basic %")
        .await
        .expect(401);
    with_auth(&home, Method::POST, "/v2/x/blobs/uploads/", &alice)
        .await
        .expect(202);
    let refused = with_auth(&home, Method::POST, "/v2/x/blobs/uploads/", &nobody)
        .await
        .expect(401);
    assert!(
        refused
            .header("www-authenticate")
            .contains("insufficient_scope")
    );
    with_auth(&home, Method::GET, "/v2/x/tags/list", &nobody)
        .await
        .expect(404);
    // For another repository, or for the catalog, it is no good; nor when it was changed.
    with_auth(&home, Method::POST, "/v2/y/blobs/uploads/", &alice)
        .await
        .expect(401);
    with_auth(&home, Method::GET, "/v2/_catalog", &alice)
        .await
        .expect(401);
    with_auth(
        &home,
        Method::POST,
        "/v2/x/blobs/uploads/",
        &format!("{alice}x"),
    )
    .await
    .expect(401);
    let form =
        b"grant_type=password&username=alice&password=secret&service=x&scope=repository:x:push";
    let posted = token(home.ask(Method::POST, "/token", &[], form).await);
    with_auth(&home, Method::GET, "/v2/", &posted)
        .await
        .expect(200);
    home.ask(
        Method::POST,
        "/token",
        &[],
        b"grant_type=refresh_token&refresh_token=x",
    )
    .await
    .refused(400, "UNSUPPORTED");
}

/// A mount needs the right to read where it comes from.
#[tokio::test]
async fn a_mount_does_not_read_what_its_token_may_not() {
    let mut home = Home::open().await;
    let digest = crate::push_blob(&home, "secret", b"content").await;
    home.again(|s| {
        s.auth = Auth::OwnTokens {
            users: users(),
            readers: Readers::Users,
        }
    })
    .await;
    let path = format!("/v2/mine/blobs/uploads/?mount={digest}&from=secret");
    for (scopes, status) in [("", 202), ("&scope=repository:secret:pull", 201)] {
        let asking = format!("/token?scope=repository:mine:pull,push{scopes}");
        let reply = with_auth(&home, Method::GET, &asking, &basic("alice", "secret"))
            .await
            .expect(200);
        let token = format!("Bearer {}", reply.json()["token"].as_str().unwrap());
        with_auth(&home, Method::POST, &path, &token)
            .await
            .expect(status);
    }
}

struct Foreign {
    pair: Ed25519KeyPair,
}

impl Foreign {
    fn new() -> Foreign {
        let document = Ed25519KeyPair::generate_pkcs8(&ring::rand::SystemRandom::new()).unwrap();
        Foreign {
            pair: Ed25519KeyPair::from_pkcs8(document.as_ref()).unwrap(),
        }
    }

    fn pem(&self) -> String {
        let mut der = vec![
            0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
        ];
        der.extend_from_slice(self.pair.public_key().as_ref());
        format!(
            "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
            STANDARD.encode(der)
        )
    }

    fn token(&self, head: &serde_json::Value, claims: &serde_json::Value) -> String {
        let part = |v: &serde_json::Value| URL_SAFE_NO_PAD.encode(v.to_string());
        let signed = format!("{}.{}", part(head), part(claims));
        let signature = URL_SAFE_NO_PAD.encode(self.pair.sign(signed.as_bytes()));
        format!("Bearer {signed}.{signature}")
    }
}

#[tokio::test]
async fn tokens_of_somebody_else() {
    let foreign = Foreign::new();
    let issuer = Issuer {
        name: "https://auth.example".to_owned(),
        realm: "https://auth.example/token".to_owned(),
        service: "registry.example".to_owned(),
        key: PublicKey::from_pem(foreign.pem().as_bytes()).unwrap(),
    };
    let home = Home::with(|s| s.auth = Auth::ForeignTokens(issuer)).await;
    let challenge = home.get("/v2/").await.expect(401);
    let expect = "Bearer realm=\"https://auth.example/token\",service=\"registry.example\"";
    assert_eq!(challenge.header("www-authenticate"), expect);
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let claims = json!({
        "iss": "https://auth.example", "aud": ["registry.example"], "exp": now + 60, "nbf": now,
        "access": [{"type": "repository", "name": "x", "actions": ["pull", "push"]}],
    });
    let head = json!({"alg": "EdDSA", "typ": "JWT"});
    let good = foreign.token(&head, &claims);
    with_auth(&home, Method::POST, "/v2/x/blobs/uploads/", &good)
        .await
        .expect(202);
    with_auth(&home, Method::POST, "/v2/y/blobs/uploads/", &good)
        .await
        .expect(401);
    let changed = |key: &str, value: serde_json::Value| {
        let mut claims = claims.clone();
        claims[key] = value;
        foreign.token(&head, &claims)
    };
    for bad in [
        changed("iss", json!("https://evil.example")),
        changed("aud", json!("other.example")),
        changed("exp", json!(now - 3_600)),
        changed("nbf", json!(now + 3_600)),
        changed("exp", json!(null)),
        Foreign::new().token(&head, &claims),
        foreign.token(&json!({"alg": "none"}), &claims),
        foreign.token(&json!({"alg": "HS256"}), &claims),
        foreign.token(&json!({"alg": "EdDSA", "crit": ["x"]}), &claims),
    ] {
        with_auth(&home, Method::POST, "/v2/x/blobs/uploads/", &bad)
            .await
            .expect(401);
    }
    home.get("/").await.expect(403);
    home.get("/token").await.expect(404);
    assert!(PublicKey::from_pem(b"nonsense").is_err());
}

#[test]
fn only_bcrypt() {
    for (text, part) in [
        ("", "nobody"),
        ("alice", "line 1"),
        ("a:$apr1$x", "bcrypt"),
        ("a:{SHA}x", "bcrypt"),
    ] {
        let said = Htpasswd::parse(text).unwrap_err().to_string();
        assert!(said.contains(part), "{said}");
    }
}

#[tokio::test]
async fn plain_http_stays_on_this_machine() {
    let root = tempfile::tempdir().unwrap();
    let settings = || Settings::new(root.path().to_owned(), ([0, 0, 0, 0], 0).into());
    let refused = Server::bind(settings()).await.err().unwrap();
    assert!(matches!(refused, ServeError::NotLoopback(_)), "{refused}");
    let mut metrics = Settings::new(root.path().to_owned(), ([127, 0, 0, 1], 0).into());
    metrics.metrics = Some(([0, 0, 0, 0], 0).into());
    assert!(Server::bind(metrics).await.is_err());
    let mut anywhere = settings();
    anywhere.plain_http = PlainHttp::Anywhere;
    assert!(Server::bind(anywhere).await.is_ok());
}

#[tokio::test]
async fn tls_and_who_may_come_in() {
    use tokio_rustls::rustls::pki_types::{
        CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _,
    };
    use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto::ring::default_provider};
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let ours = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let theirs = rcgen::generate_simple_self_signed(vec!["client".to_owned()]).unwrap();
    let certificate = file("cert.pem", &ours.cert.pem());
    let key = file("key.pem", &ours.signing_key.serialize_pem());
    let client_ca = file("ca.pem", &theirs.cert.pem());
    let client_key = file("client.pem", &theirs.signing_key.serialize_pem());
    let tls = Tls {
        certificate: certificate.clone(),
        key,
        client_ca: Some(client_ca.clone()),
    };
    let home = Home::with(|s| s.tls = Some(tls)).await;
    let speak = |with_certificate: bool| {
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_file(&certificate).unwrap())
            .unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let config = if with_certificate {
            let chain = vec![CertificateDer::from_pem_file(&client_ca).unwrap()];
            let key = PrivateKeyDer::from_pem_file(&client_key).unwrap();
            builder.with_client_auth_cert(chain, key).unwrap()
        } else {
            builder.with_no_client_auth()
        };
        let address = home.address;
        async move {
            use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
            let stream = tokio::net::TcpStream::connect(address).await?;
            let name = ServerName::try_from("localhost").unwrap();
            let mut stream = tokio_rustls::TlsConnector::from(Arc::new(config))
                .connect(name, stream)
                .await?;
            stream
                .write_all(b"GET /v2/ HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
                .await?;
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).await?;
            Ok::<_, std::io::Error>(String::from_utf8_lossy(&answer).into_owned())
        }
    };
    assert!(speak(true).await.unwrap().starts_with("HTTP/1.1 200"));
    assert!(speak(false).await.is_err());
    // Plain HTTP is no way in.
    assert!(home.try_ask(Method::GET, "/v2/", &[], b"").await.is_err());
}

#[tokio::test]
async fn files_that_are_no_certificates_say_so() {
    let root = tempfile::tempdir().unwrap();
    let empty = root.path().join("empty.pem");
    std::fs::write(&empty, "").unwrap();
    let mut settings = Settings::new(root.path().to_owned(), ([127, 0, 0, 1], 0).into());
    settings.tls = Some(Tls {
        certificate: empty.clone(),
        key: empty.clone(),
        client_ca: None,
    });
    let said = Server::bind(settings).await.err().unwrap().to_string();
    assert!(
        said.contains("empty.pem") && said.contains("no certificate"),
        "{said}"
    );
}
