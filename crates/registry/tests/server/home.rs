//! A registry of its own for each test, on a temporary root, and a plain client.

use std::net::SocketAddr;
use std::path::Path;

use http::{Method, Request};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use registry::server::{Server, Settings, Writes};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub(crate) struct Home {
    pub(crate) address: SocketAddr,
    root: tempfile::TempDir,
    end: Option<oneshot::Sender<()>>,
    serving: Option<JoinHandle<()>>,
}

/// An answer, whole.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    headers: http::HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Home {
    /// One that takes pushes and deletes from everyone.
    pub(crate) async fn open() -> Home {
        Home::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut Settings)) -> Home {
        let mut home = Home {
            address: ([127, 0, 0, 1], 0).into(),
            root: tempfile::tempdir().unwrap(),
            end: None,
            serving: None,
        };
        home.start(change).await;
        home
    }

    /// Ends it and serves the same root again, at another port.
    pub(crate) async fn again(&mut self, change: impl FnOnce(&mut Settings)) {
        self.stop().await;
        self.start(change).await;
    }

    async fn start(&mut self, change: impl FnOnce(&mut Settings)) {
        let mut settings = Settings::new(self.root.path().to_owned(), ([127, 0, 0, 1], 0).into());
        settings.writes = Writes::PushAndDelete;
        settings.collect_every = None;
        change(&mut settings);
        let server = Server::bind(settings).await.unwrap();
        self.address = server.address().unwrap();
        let (end, ended) = oneshot::channel();
        self.end = Some(end);
        self.serving = Some(tokio::spawn(server.run(async {
            drop(ended.await);
        })));
    }

    pub(crate) async fn stop(&mut self) {
        drop(self.end.take());
        if let Some(serving) = self.serving.take() {
            serving.await.unwrap();
        }
    }

    pub(crate) fn root(&self) -> &Path {
        self.root.path()
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.ask(Method::GET, path, &[], b"").await
    }

    pub(crate) async fn head(&self, path: &str) -> Reply {
        self.ask(Method::HEAD, path, &[], b"").await
    }

    pub(crate) async fn delete(&self, path: &str) -> Reply {
        self.ask(Method::DELETE, path, &[], b"").await
    }

    /// One request on a connection of its own.
    pub(crate) async fn ask(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Reply {
        self.try_ask(method, path, headers, body).await.unwrap()
    }

    pub(crate) async fn try_ask(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Reply, Box<dyn std::error::Error + Send + Sync>> {
        let stream = TcpStream::connect(self.address).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        let mut request = Request::builder().method(method).uri(path);
        request = request.header("host", self.address.to_string());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(bytes::Bytes::copy_from_slice(body)))?;
        let response = sender.send_request(request).await?;
        let (parts, body) = response.into_parts();
        Ok(Reply {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: body.collect().await?.to_bytes().to_vec(),
        })
    }
}

impl Reply {
    /// Asserts the status, with the body in the message.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Reply {
        let text = String::from_utf8_lossy(&self.body);
        assert_eq!(self.status, status, "{text}");
        self
    }

    /// Asserts status and error code.
    #[track_caller]
    pub(crate) fn refused(&self, status: u16, code: &str) {
        let text = String::from_utf8_lossy(&self.body);
        assert_eq!(self.status, status, "{text}");
        assert_eq!(self.json()["errors"][0]["code"], code, "{text}");
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}
