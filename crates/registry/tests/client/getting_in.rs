use registry::client::{Access, Client, Credentials, Kind, Repository, Wanted};

use crate::scripted::{Asked, Reply, Scripted};
use crate::{basic, name, settings};

const MANIFEST: &str =
    r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#;

async fn repository(server: &Scripted, credentials: &Credentials) -> Repository {
    Client::new(settings())
        .repository(&name(server, "a/b"), credentials, Access::Pull)
        .await
        .unwrap()
}

/// A token server that gives `token-1`, `token-2` and so on.
async fn token_server() -> Scripted {
    let number = std::sync::atomic::AtomicU32::new(0);
    Scripted::new(move |_| {
        let n = number.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1;
        Reply::ok(format!(r#"{{"token":"token-{n}","expires_in":300}}"#))
    })
    .await
}

/// A registry that takes these tokens.
async fn with_tokens(realm: String, good: &'static [&'static str]) -> Scripted {
    Scripted::new(move |asked| {
        let sent = asked.header("authorization");
        if good.iter().any(|good| sent == format!("Bearer {good}")) {
            return Reply::ok(MANIFEST);
        }
        Reply::new(401).header(
            "www-authenticate",
            format!(r#"Bearer realm="{realm}",service="reg",scope="repository:a/b:pull""#),
        )
    })
    .await
}

#[tokio::test]
async fn a_token_is_fetched_once_for_all() {
    let tokens = token_server().await;
    let server = with_tokens(format!("http://{}/token", tokens.host()), &["token-1"]).await;
    let repository = repository(&server, &basic()).await;
    let both = tokio::join!(
        repository.manifest(Wanted::Tag("x")),
        repository.manifest(Wanted::Tag("y"))
    );
    both.0.unwrap();
    both.1.unwrap();
    repository.manifest(Wanted::Tag("z")).await.unwrap();
    let asked = tokens.asked();
    assert_eq!(asked.len(), 1);
    assert!(asked[0].target.contains("scope=repository%3Aa%2Fb%3Apull"));
    assert!(asked[0].target.contains("service=reg"));
    assert!(asked[0].target.contains("account=joe"));
    assert!(asked[0].header("authorization").starts_with("Basic "));
}

#[tokio::test]
async fn a_token_that_ended_is_replaced() {
    let tokens = token_server().await;
    let uses = std::sync::atomic::AtomicU32::new(0);
    let realm = format!("http://{}/token", tokens.host());
    let server = Scripted::new(move |asked| {
        let count = |asked: &Asked| match asked.header("authorization") {
            "Bearer token-1" => uses.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == 0,
            "Bearer token-2" => true,
            _ => false,
        };
        if count(asked) {
            return Reply::ok(MANIFEST);
        }
        Reply::new(401).header("www-authenticate", format!("Bearer realm=\"{realm}\""))
    })
    .await;
    let repository = repository(&server, &basic()).await;
    repository.manifest(Wanted::Tag("x")).await.unwrap();
    repository.manifest(Wanted::Tag("x")).await.unwrap();
    assert_eq!(tokens.asked().len(), 2);
}

#[tokio::test]
async fn a_registry_that_takes_no_token_is_not_asked_for_ever() {
    let tokens = token_server().await;
    let server = with_tokens(format!("http://{}/token", tokens.host()), &[]).await;
    let error = repository(&server, &basic())
        .await
        .manifest(Wanted::Tag("x"))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Unauthorized);
    assert!(tokens.asked().len() <= 3);
    assert!(server.asked().len() <= 4);
}

#[tokio::test]
async fn an_identity_token_is_exchanged_by_post() {
    let tokens = token_server().await;
    let server = with_tokens(format!("http://{}/token", tokens.host()), &["token-1"]).await;
    let credentials = Credentials::IdentityToken("refresh me".into());
    let repository = repository(&server, &credentials).await;
    repository.manifest(Wanted::Tag("x")).await.unwrap();
    let asked = &tokens.asked()[0];
    let form = String::from_utf8(asked.body.clone()).unwrap();
    assert_eq!(asked.method, "POST");
    assert!(form.contains("grant_type=refresh_token"), "{form}");
    assert!(form.contains("refresh_token=refresh+me"), "{form}");
    assert!(!asked.target.contains("refresh"));
}

#[tokio::test]
async fn basic_credentials_go_where_they_are_wanted() {
    let server = Scripted::new(|asked| match asked.header("authorization") {
        "Basic am9lOnNlY3JldA==" => Reply::ok(MANIFEST),
        _ => Reply::new(401).header("www-authenticate", "Basic realm=\"x\""),
    })
    .await;
    let known = repository(&server, &basic()).await;
    known.manifest(Wanted::Tag("x")).await.unwrap();
    let unknown = repository(&server, &Credentials::None).await;
    let error = unknown.manifest(Wanted::Tag("x")).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unauthorized);
    assert!(error.to_string().contains("no basic auth credentials"));
}

#[tokio::test]
async fn wrong_credentials_are_told_in_the_token_servers_words() {
    let tokens =
        Scripted::new(|_| Reply::new(401).body(r#"{"details":"incorrect username or password"}"#))
            .await;
    let server = with_tokens(format!("http://{}/token", tokens.host()), &[]).await;
    let client = Client::new(settings());
    let error = client.login(server.host(), &basic()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unauthorized);
    let expect = "unauthorized: incorrect username or password";
    assert!(error.to_string().contains(expect), "{error}");
}

#[tokio::test]
async fn a_login_gives_the_identity_token() {
    let tokens = Scripted::new(|asked| {
        assert!(asked.target.contains("offline_token=true"));
        Reply::ok(r#"{"token":"t","refresh_token":"keep"}"#)
    })
    .await;
    let server = with_tokens(format!("http://{}/token", tokens.host()), &["t"]).await;
    let client = Client::new(settings());
    let logged_in = client.login(server.host(), &basic()).await.unwrap();
    assert_eq!(logged_in.identity_token.as_deref(), Some("keep"));
}

#[tokio::test]
async fn token_servers_that_are_none_are_refused() {
    for realm in [
        "",
        "nonsense",
        "file:///etc/shadow",
        "http://u:p@127.0.0.1/",
    ] {
        let server = with_tokens(realm.to_owned(), &[]).await;
        let asked = repository(&server, &basic()).await;
        let error = asked.manifest(Wanted::Tag("x")).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Lied, "{realm}: {error}");
    }
}

#[tokio::test]
async fn answers_of_token_servers_are_bounded() {
    let nonsense = [
        Reply::ok("").endless(),
        Reply::ok("[]"),
        Reply::ok("{}"),
        Reply::ok(r#"{"token":"a\nb"}"#),
    ];
    for reply in nonsense {
        let tokens = Scripted::new(move |_| reply.clone()).await;
        let server = with_tokens(format!("http://{}/token", tokens.host()), &[]).await;
        let asked = repository(&server, &basic()).await;
        let error = asked.manifest(Wanted::Tag("x")).await.unwrap_err();
        assert!(matches!(error.kind(), Kind::Lied | Kind::Local), "{error}");
    }
}

#[tokio::test]
async fn a_scope_that_is_not_enough_is_a_denial() {
    let tokens = token_server().await;
    let realm = format!("http://{}/token", tokens.host());
    let server = Scripted::new(move |_| {
        Reply::new(401)
            .header(
                "www-authenticate",
                format!(r#"Bearer realm="{realm}",scope="repository:a/b:pull",error="insufficient_scope""#),
            )
            .body(r#"{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}"#)
    })
    .await;
    let asked = repository(&server, &Credentials::None).await;
    let error = asked.manifest(Wanted::Tag("x")).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Denied);
    assert_eq!(
        error.answers()[0].to_string(),
        "denied: requested access to the resource is denied"
    );
}

#[tokio::test]
async fn a_token_server_that_asks_to_wait_is_heard() {
    let tokens = Scripted::new(|_| Reply::new(429).header("retry-after", "86400")).await;
    let server = with_tokens(format!("http://{}/token", tokens.host()), &[]).await;
    let repository = repository(&server, &basic()).await;
    let error = repository.manifest(Wanted::Tag("x")).await.unwrap_err();
    assert_eq!(error.kind(), Kind::RateLimited);
    assert_eq!(tokens.asked().len(), 1);
}
