//! A network namespace for a daemon: a host of its own as far as devices, addresses and firewalls go.

use std::fs::{self, File};
use std::io::Read as _;
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// Held open for as long as the daemon may be started again. It ends with its last process.
pub struct OwnNetwork {
    file: File,
}

impl OwnNetwork {
    pub(crate) fn new() -> OwnNetwork {
        // The shell tells when it is in its new namespace, and stays until it has been opened.
        let mut shell = Command::new("unshare")
            .args(["--net", "sh", "-c", "echo in; read done"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("run unshare");
        let mut said = [0; 3];
        let stdout = shell.stdout.as_mut().expect("its output");
        stdout.read_exact(&mut said).expect("hear from unshare");
        let file = File::open(format!("/proc/{}/ns/net", shell.id())).expect("open the namespace");
        drop(shell.stdin.take());
        shell.wait().expect("wait for the shell");
        OwnNetwork { file }
    }

    /// A command that will run in it.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new("nsenter");
        let file = format!("/proc/{}/fd/{}", std::process::id(), self.file.as_raw_fd());
        command.arg(format!("--net={file}")).arg(program);
        command
    }

    /// Does something in it, on a thread of its own.
    pub fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                let kind = Some(LinkNameSpaceType::Network);
                move_into_link_name_space(self.file.as_fd(), kind).expect("enter the namespace");
                work()
            });
            thread.join().expect("work in the namespace")
        })
    }

    /// The names of its devices.
    pub fn devices(&self) -> Vec<String> {
        let table = self.inside(|| fs::read_to_string("/proc/thread-self/net/dev"));
        let table = table.expect("read the devices");
        let lines = table.lines().skip(2);
        let names = lines.filter_map(|line| Some(line.split_once(':')?.0.trim().to_owned()));
        let mut names: Vec<_> = names.collect();
        names.sort();
        names
    }
}
