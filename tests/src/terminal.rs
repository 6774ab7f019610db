//! A client on a pseudo-terminal, as a person sees it.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Stdio};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::cli::Command;

/// A client whose three streams are one terminal.
pub struct Terminal {
    master: File,
    child: Child,
    seen: Vec<u8>,
}

impl Terminal {
    /// Starts `command` on a terminal of `columns` by `rows`.
    pub fn start(command: Command, columns: u16, rows: u16) -> Terminal {
        let master =
            openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).expect("openpt");
        grantpt(&master).expect("grantpt");
        unlockpt(&master).expect("unlockpt");
        let name = ptsname(&master, Vec::new())
            .expect("ptsname")
            .into_string()
            .expect("UTF-8");
        let slave: OwnedFd = File::options()
            .read(true)
            .write(true)
            .open(name)
            .expect("open the terminal")
            .into();
        resize(&master, columns, rows);
        let stdio = || Stdio::from(slave.try_clone().expect("dup"));
        let mut command = command.into_inner();
        let child = command
            .stdin(stdio())
            .stdout(stdio())
            .stderr(stdio())
            .spawn()
            .expect("start the client");
        Terminal {
            master: master.into(),
            child,
            seen: Vec::new(),
        }
    }

    /// Types `text`.
    pub fn write(&mut self, text: &str) {
        self.master
            .write_all(text.as_bytes())
            .expect("write to the terminal");
    }

    /// Reads until `words` have appeared since the last call, and returns all up to them.
    #[track_caller]
    pub fn read_until(&mut self, words: &str) -> String {
        let mut buffer = [0; 4096];
        loop {
            let text = String::from_utf8_lossy(&self.seen).into_owned();
            if let Some(at) = text.find(words) {
                let end = at + words.len();
                self.seen = text.as_bytes()[end..].to_vec();
                return text[..end].to_owned();
            }
            let length = self.master.read(&mut buffer).unwrap_or(0);
            assert!(length > 0, "the terminal ended without {words:?}: {text:?}");
            self.seen.extend_from_slice(&buffer[..length]);
        }
    }

    /// Gives the terminal another size, and tells the client as the kernel would its foreground process.
    pub fn resize(&mut self, columns: u16, rows: u16) {
        resize(&self.master, columns, rows);
        kill_process(Pid::from_child(&self.child), Signal::WINCH).expect("signal the client");
    }

    /// The same until `words` answer it: the docker client begins to listen to the signal a moment after it has
    /// started the container, and nothing outside tells when.
    pub fn resize_until(&mut self, columns: u16, rows: u16, words: &str) {
        loop {
            self.resize(columns, rows);
            let mut ready = [PollFd::new(&self.master, PollFlags::IN)];
            let second = Timespec {
                tv_sec: 1,
                tv_nsec: 0,
            };
            if poll(&mut ready, Some(&second)).expect("poll") == 0 {
                continue;
            }
            let mut buffer = [0; 4096];
            let length = self.master.read(&mut buffer).expect("read the terminal");
            self.seen.extend_from_slice(&buffer[..length]);
            if String::from_utf8_lossy(&self.seen).contains(words) {
                return;
            }
        }
    }

    /// Waits for the client's end; its exit code and what it printed since the last read.
    pub fn end(mut self) -> (i32, String) {
        let mut buffer = [0; 4096];
        // The last close of the other side reads as EIO.
        while let Ok(length) = self.master.read(&mut buffer)
            && length > 0
        {
            self.seen.extend_from_slice(&buffer[..length]);
        }
        let code = self
            .child
            .wait()
            .expect("wait for the client")
            .code()
            .unwrap_or(-1);
        (code, String::from_utf8_lossy(&self.seen).into_owned())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn resize(master: &impl AsFd, columns: u16, rows: u16) {
    let size = Winsize {
        ws_row: rows,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    tcsetwinsize(master.as_fd(), size).expect("set the terminal's size");
}
