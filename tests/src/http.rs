//! HTTP/1.1 over a unix socket or loopback, by hand: so that a test sees exactly what is on the wire.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use serde_json::Value;

/// A connection to the daemon, or to a registry.
pub struct Connection {
    stream: BufReader<Socket>,
}

enum Socket {
    Unix(UnixStream),
    Tcp(TcpStream),
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Socket::Unix(stream) => stream.read(buffer),
            Socket::Tcp(stream) => stream.read(buffer),
        }
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Socket::Unix(stream) => stream.write(bytes),
            Socket::Tcp(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// An answer, whole.
#[derive(Debug)]
pub struct Response {
    pub status: u16,
    headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Connection {
    /// Connects to `unix:///path` or `tcp://address:port`.
    pub fn try_open(host: &str) -> io::Result<Connection> {
        if let Some(address) = host.strip_prefix("tcp://") {
            let stream = TcpStream::connect(address)?;
            stream.set_read_timeout(Some(Duration::from_secs(60)))?;
            stream.set_nodelay(true)?;
            return Ok(Connection {
                stream: BufReader::new(Socket::Tcp(stream)),
            });
        }
        let path = host.strip_prefix("unix://").unwrap_or(host);
        let stream = UnixStream::connect(path)?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        Ok(Connection {
            stream: BufReader::new(Socket::Unix(stream)),
        })
    }

    /// Sends a request and reads the whole answer. The connection can be used again.
    pub fn request(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> io::Result<Response> {
        self.send(method, path, headers, body)?;
        let mut response = self.head()?;
        response.body = self.body(method, &response)?;
        Ok(response)
    }

    /// Sends a request and reads nothing.
    pub fn send(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> io::Result<()> {
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: docker\r\n");
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if !body.is_empty() || method == "POST" || method == "PUT" {
            head.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        head.push_str("\r\n");
        self.stream.get_mut().write_all(head.as_bytes())?;
        // A daemon may refuse a body before it has all of it.
        match self.stream.get_mut().write_all(body) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            other => other,
        }
    }

    /// Reads the head of an answer.
    pub fn head(&mut self) -> io::Result<Response> {
        let status_line = self.line()?;
        let status = status_line
            .split(' ')
            .nth(1)
            .and_then(|code| code.parse().ok());
        let status = status.ok_or_else(|| bad(&format!("no status in {status_line:?}")))?;
        let mut headers = Vec::new();
        loop {
            let line = self.line()?;
            if line.is_empty() {
                return Ok(Response {
                    status,
                    headers,
                    body: Vec::new(),
                });
            }
            let (name, value) = line
                .split_once(':')
                .ok_or_else(|| bad(&format!("no colon in {line:?}")))?;
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
    }

    fn body(&mut self, method: &str, head: &Response) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        if method == "HEAD" || head.status == 204 || head.status == 304 {
            return Ok(body);
        }
        if head
            .header("transfer-encoding")
            .is_some_and(|value| value.contains("chunked"))
        {
            while let Some(chunk) = self.chunk()? {
                body.extend(chunk);
            }
        } else if let Some(length) = head.header("content-length") {
            let length = length
                .parse()
                .map_err(|_| bad("content-length is no number"))?;
            (&mut self.stream).take(length).read_to_end(&mut body)?;
        } else {
            self.stream.read_to_end(&mut body)?;
        }
        Ok(body)
    }

    /// The next chunk of a chunked body; None at its end.
    pub fn chunk(&mut self) -> io::Result<Option<Vec<u8>>> {
        let line = self.line()?;
        let length = line.split(';').next().unwrap_or_default();
        let length = usize::from_str_radix(length, 16)
            .map_err(|_| bad(&format!("no chunk length: {line:?}")))?;
        let mut chunk = vec![0; length];
        self.stream.read_exact(&mut chunk)?;
        self.line()?;
        Ok((length > 0).then_some(chunk))
    }

    /// Writes raw bytes, on a hijacked connection.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes)
    }

    /// Ends our side; the other may go on.
    pub fn close_write(&mut self) -> io::Result<()> {
        match self.stream.get_ref() {
            Socket::Unix(stream) => stream.shutdown(Shutdown::Write),
            Socket::Tcp(stream) => stream.shutdown(Shutdown::Write),
        }
    }

    /// Reads raw bytes until `until` is among them.
    pub fn read_until(&mut self, until: &[u8]) -> io::Result<Vec<u8>> {
        let mut seen = Vec::new();
        while !seen.windows(until.len()).any(|window| window == until) {
            let some = self.stream.fill_buf()?;
            if some.is_empty() {
                return Err(bad(&format!(
                    "ended after {:?}",
                    String::from_utf8_lossy(&seen)
                )));
            }
            let length = some.len();
            seen.extend_from_slice(some);
            self.stream.consume(length);
        }
        Ok(seen)
    }

    /// Reads raw bytes to the end.
    pub fn rest(&mut self) -> io::Result<Vec<u8>> {
        let mut rest = Vec::new();
        self.stream.read_to_end(&mut rest)?;
        Ok(rest)
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        line.truncate(line.trim_end_matches(['\r', '\n']).len());
        Ok(line)
    }
}

impl Response {
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self
            .headers
            .iter()
            .find(|(header, _)| header == &name.to_ascii_lowercase());
        found.map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {:?}", self.text()))
    }

    /// The `message` of an error's body.
    #[track_caller]
    pub fn message(&self) -> String {
        self.json()["message"]
            .as_str()
            .unwrap_or_else(|| panic!("no message: {}", self.text()))
            .to_owned()
    }
}

/// Takes Docker's multiplexed stream apart: what went to stdout and what to stderr.
pub fn demux(mut stream: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let mut outputs = (Vec::new(), Vec::new());
    while !stream.is_empty() {
        assert!(stream.len() >= 8, "half a header: {stream:?}");
        let length = u32::from_be_bytes([stream[4], stream[5], stream[6], stream[7]]) as usize;
        assert!(stream.len() >= 8 + length, "half a frame");
        match stream[0] {
            1 => outputs.0.extend_from_slice(&stream[8..8 + length]),
            2 => outputs.1.extend_from_slice(&stream[8..8 + length]),
            other => panic!("stream number {other}"),
        }
        stream = &stream[8 + length..];
    }
    outputs
}

fn bad(text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}
