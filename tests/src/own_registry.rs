//! `tare registry serve` as a process of a test's own.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::http::{Connection, Response};

/// A registry of ours that runs until it is dropped.
pub struct OwnRegistry {
    process: Child,
    address: String,
}

impl OwnRegistry {
    /// Serves `root` at a free port of loopback.
    pub fn serve(root: &Path, args: &[&str]) -> OwnRegistry {
        let mut process = Command::new(crate::binary("tare"))
            .args(["registry", "serve", "--addr", "127.0.0.1:0", "--root"])
            .arg(root)
            .args(args)
            .stderr(Stdio::piped())
            .spawn()
            .expect("start tare registry");
        let mut lines = BufReader::new(process.stderr.take().expect("its log")).lines();
        let told = lines.by_ref().map_while(Result::ok).find_map(|line| {
            line.split_once("registry at http://")
                .map(|(_, a)| a.to_owned())
        });
        let address = told.expect("it says where it listens");
        // It must not wait for somebody to read its log.
        std::thread::spawn(move || lines.for_each(drop));
        OwnRegistry { process, address }
    }

    /// `127.0.0.1:PORT`.
    pub fn address(&self) -> &str {
        &self.address
    }

    pub fn connect(&self) -> Connection {
        Connection::try_open(&format!("tcp://{}", self.address)).expect("connect to the registry")
    }

    /// One request on a connection of its own.
    pub fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Response {
        let answer = self.connect().request(method, path, headers, body);
        answer.expect("an answer of the registry")
    }

    /// SIGHUP.
    pub fn hang_up(&self) {
        let pid = Pid::from_child(&self.process);
        kill_process(pid, Signal::HUP).expect("signal the registry");
    }

    /// SIGKILL, and its end.
    pub fn kill(mut self) {
        self.process.kill().expect("kill the registry");
        self.process.wait().expect("its end");
    }
}

impl Drop for OwnRegistry {
    fn drop(&mut self) {
        // One that has ended by itself is as good.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
