//! Registries behind a SOCKS proxy.

use oci::{Descriptor, Manifest, Reference, media_type};
use registry::client::{Access, Client, Credentials, Wanted};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use crate::scripted::{Reply, Scripted};

/// A proxy (RFC 1928) that leads everybody to `to`; tells the names that it was asked for. It wants to know who asks if `user` says so.
async fn proxy(
    to: String,
    user: Option<&'static str>,
) -> (String, mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (told, asked) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (to, told) = (to.clone(), told.clone());
            tokio::spawn(async move {
                // One that went away is as good as one that came to its end.
                let _gone = lead(stream, &to, user, &told).await;
            });
        }
    });
    (address, asked)
}

async fn lead(
    mut client: TcpStream,
    to: &str,
    user: Option<&str>,
    told: &mpsc::UnboundedSender<String>,
) -> std::io::Result<()> {
    let mut head = [0; 2];
    client.read_exact(&mut head).await?;
    let mut methods = vec![0; usize::from(head[1])];
    client.read_exact(&mut methods).await?;
    let method = if user.is_some() { 2 } else { 0 };
    assert!(methods.contains(&method));
    client.write_all(&[5, method]).await?;
    if let Some(user) = user {
        client.read_u8().await?;
        let name = word(&mut client).await?;
        let password = word(&mut client).await?;
        assert_eq!(format!("{name}:{password}"), user);
        client.write_all(&[1, 0]).await?;
    }
    let mut request = [0; 4];
    client.read_exact(&mut request).await?;
    assert_eq!(request[3], 3, "it is asked by name");
    let host = word(&mut client).await?;
    let port = client.read_u16().await?;
    told.send(format!("{host}:{port}")).unwrap();
    let mut there = TcpStream::connect(to).await?;
    client.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await?;
    copy_bidirectional(&mut client, &mut there).await?;
    Ok(())
}

async fn word(client: &mut TcpStream) -> std::io::Result<String> {
    let length = client.read_u8().await?;
    let mut bytes = vec![0; usize::from(length)];
    client.read_exact(&mut bytes).await?;
    Ok(String::from_utf8(bytes).unwrap())
}

#[tokio::test]
async fn names_are_the_proxys_to_look_up() {
    for user in [None, Some("joe:secret")] {
        let manifest =
            Manifest::new(Descriptor::of(media_type::OCI_CONFIG, b"{}"), vec![]).to_bytes();
        let sent = manifest.clone();
        let server = Scripted::new(move |_| Reply::ok(sent.clone())).await;
        let (address, mut asked) = proxy(server.host().to_owned(), user).await;
        let mut settings = crate::settings();
        let login = user.map_or_else(String::new, |user| format!("{user}@"));
        let url = format!("socks5h://{login}{address}");
        settings.proxies.http = Some(url.clone());
        settings.proxies.https = Some(url);
        settings
            .insecure
            .push("registry.invalid:81".parse().unwrap());
        let name = Reference::parse("registry.invalid:81/a/b").unwrap();
        let repository = Client::new(settings)
            .repository(&name, &Credentials::None, Access::Pull)
            .await
            .unwrap();
        let fetched = repository.manifest(Wanted::Tag("x")).await.unwrap();
        assert_eq!(fetched.bytes, manifest);
        assert_eq!(asked.recv().await.unwrap(), "registry.invalid:81");
    }
}
