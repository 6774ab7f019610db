//! A registry of a test's own: Debian's docker-registry on a free port of loopback.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

/// Who may come in where a registry wants a password: `joe` with `secret`.
const HTPASSWD: &str = "joe:$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a\n";

/// A registry that runs until it is dropped.
pub struct Registry {
    process: Child,
    host: String,
    folder: TempDir,
}

impl Registry {
    /// One that everybody may use; `None`, and a note, where docker-registry is not installed.
    pub fn open() -> Option<Registry> {
        Registry::start(false)
    }

    /// One that wants a password.
    pub fn guarded() -> Option<Registry> {
        Registry::start(true)
    }

    fn start(guarded: bool) -> Option<Registry> {
        let Some(program) = program() else {
            crate::skip("docker-registry is not installed");
            return None;
        };
        let folder = tempfile::tempdir().expect("a folder");
        // Free a moment ago; nobody else here asks for ports by number.
        let port = TcpListener::bind("127.0.0.1:0")
            .and_then(|socket| socket.local_addr())
            .expect("a free port")
            .port();
        let host = format!("localhost:{port}");
        let config = folder.path().join("config.yml");
        fs::write(&config, configuration(folder.path(), port, guarded)).expect("its settings");
        let mut process = Command::new(program)
            .arg("serve")
            .arg(&config)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("start docker-registry");
        let mut lines = BufReader::new(process.stderr.take().expect("its log")).lines();
        let listens = lines
            .by_ref()
            .map_while(Result::ok)
            .any(|line| line.contains("listening on"));
        assert!(listens, "docker-registry does not listen");
        // It must not wait for somebody to read its log.
        std::thread::spawn(move || lines.for_each(drop));
        Some(Registry {
            process,
            host,
            folder,
        })
    }

    /// `localhost:PORT`.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The file that holds a blob, for tests that spoil it.
    pub fn blob(&self, digest: &str) -> PathBuf {
        let hex = digest.trim_start_matches("sha256:");
        let blobs = "data/docker/registry/v2/blobs/sha256";
        self.folder
            .path()
            .join(blobs)
            .join(&hex[..2])
            .join(hex)
            .join("data")
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        // One that has ended by itself is as good.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Named by xtask, which fetches it, or on PATH.
fn program() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("TARE_TEST_REGISTRY") {
        return Some(named.into());
    }
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join("docker-registry"))
        .find(|program| program.is_file())
}

fn configuration(folder: &Path, port: u16, guarded: bool) -> String {
    let mut text = format!(
        "version: 0.1\nlog: {{level: info}}\n\
         storage: {{filesystem: {{rootdirectory: {}}}, delete: {{enabled: true}}}}\n\
         http: {{addr: '127.0.0.1:{port}'}}\n",
        folder.join("data").display()
    );
    if guarded {
        let users = folder.join("htpasswd");
        fs::write(&users, HTPASSWD).expect("its users");
        text.push_str(&format!(
            "auth: {{htpasswd: {{realm: test, path: {}}}}}\n",
            users.display()
        ));
    }
    text
}
