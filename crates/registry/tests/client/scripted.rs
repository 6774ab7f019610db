//! A server that answers byte for byte what a test wants, by hand, so that it can also answer what no HTTP library would.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

/// A request as it came.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asked {
    pub(crate) method: String,
    /// Path and query.
    pub(crate) target: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    pub(crate) fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }
}

/// What is sent back.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    /// Say another length than the body's.
    said: Option<u64>,
    /// Close the connection after so many bytes of the body.
    cut: Option<usize>,
    /// Never stop sending.
    endless: bool,
    /// So much time before each byte of the body.
    drip: Option<Duration>,
}

impl Reply {
    pub(crate) fn new(status: u16) -> Self {
        Reply {
            status,
            ..Reply::default()
        }
    }

    pub(crate) fn ok(body: impl Into<Vec<u8>>) -> Self {
        Reply {
            body: body.into(),
            ..Reply::new(200)
        }
    }

    pub(crate) fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub(crate) fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    pub(crate) fn says_length(mut self, length: u64) -> Self {
        self.said = Some(length);
        self
    }

    pub(crate) fn cut_after(mut self, bytes: usize) -> Self {
        self.cut = Some(bytes);
        self
    }

    pub(crate) fn dripping(mut self, apart: Duration) -> Self {
        self.drip = Some(apart);
        self
    }

    pub(crate) fn endless(mut self) -> Self {
        self.endless = true;
        self
    }
}

type Script = Arc<dyn Fn(&Asked) -> Reply + Send + Sync>;

pub(crate) struct Scripted {
    host: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    serving: tokio::task::JoinHandle<()>,
}

impl Scripted {
    pub(crate) async fn new(script: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        Scripted::with(Arc::new(script), None).await
    }

    /// The same behind TLS.
    pub(crate) async fn tls(
        acceptor: tokio_rustls::TlsAcceptor,
        script: impl Fn(&Asked) -> Reply + Send + Sync + 'static,
    ) -> Self {
        Scripted::with(Arc::new(script), Some(acceptor)).await
    }

    async fn with(script: Script, tls: Option<tokio_rustls::TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&asked);
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (script, log, tls) = (Arc::clone(&script), Arc::clone(&log), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => connection(stream, script, log).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                connection(stream, script, log).await;
                            }
                        }
                    }
                });
            }
        });
        Scripted {
            host,
            asked,
            serving,
        }
    }

    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn connection<S>(stream: S, script: Script, log: Arc<Mutex<Vec<Asked>>>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut stream = BufReader::new(stream);
    while let Some(asked) = read(&mut stream).await {
        log.lock().unwrap().push(asked.clone());
        let reply = script(&asked);
        let keeps = reply.cut.is_none() && !reply.endless;
        if write(&mut stream, &asked, reply).await.is_err() || !keeps {
            return;
        }
    }
}

async fn read<S: AsyncRead + Unpin>(stream: &mut BufReader<S>) -> Option<Asked> {
    let mut head = Vec::new();
    // A loopback registry is asked with TLS first; what speaks plain HTTP hangs up, or the client would wait for more.
    const TLS_HANDSHAKE: u8 = 0x16;
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
        if head[0] == TLS_HANDSHAKE {
            return None;
        }
    }
    let head = String::from_utf8(head).ok()?;
    let mut lines = head.lines();
    let mut words = lines.next()?.split(' ');
    let mut asked = Asked {
        method: words.next()?.to_owned(),
        target: words.next()?.to_owned(),
        ..Asked::default()
    };
    for line in lines.filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':')?;
        asked
            .headers
            .insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    if asked.header("transfer-encoding") == "chunked" {
        asked.body = chunks(stream).await?;
    } else if let Ok(length) = asked.header("content-length").parse() {
        asked.body.resize(length, 0);
        stream.read_exact(&mut asked.body).await.ok()?;
    }
    Some(asked)
}

async fn chunks<S: AsyncRead + Unpin>(stream: &mut BufReader<S>) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            line.push(stream.read_u8().await.ok()?);
        }
        let size = usize::from_str_radix(std::str::from_utf8(&line).ok()?.trim(), 16).ok()?;
        let mut chunk = vec![0; size + 2];
        stream.read_exact(&mut chunk).await.ok()?;
        if size == 0 {
            return Some(body);
        }
        body.extend_from_slice(&chunk[..size]);
    }
}

async fn write<S>(stream: &mut BufReader<S>, asked: &Asked, reply: Reply) -> std::io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut head = format!("HTTP/1.1 {} Scripted\r\n", reply.status);
    for (name, value) in &reply.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let said = reply.said.unwrap_or(reply.body.len() as u64);
    match reply.endless {
        true => head.push_str("connection: close\r\n"),
        false if reply.status != 204 => head.push_str(&format!("content-length: {said}\r\n")),
        false => {}
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes()).await?;
    if asked.method != "HEAD" {
        let cut = reply.cut.unwrap_or(reply.body.len());
        if let Some(apart) = reply.drip {
            stream.flush().await?;
            for byte in &reply.body[..cut] {
                tokio::time::sleep(apart).await;
                stream.write_all(&[*byte]).await?;
                stream.flush().await?;
            }
            return Ok(());
        }
        stream.write_all(&reply.body[..cut]).await?;
    }
    stream.flush().await?;
    if reply.endless {
        loop {
            stream.write_all(&[b' '; 4096]).await?;
        }
    }
    if reply.cut.is_some() {
        stream.shutdown().await?;
    }
    Ok(())
}
