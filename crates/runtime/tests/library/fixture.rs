//! A root filesystem of busybox, specifications like Docker's, and what a finished container left behind.

use std::os::fd::OwnedFd;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use linux::file::{self, OFlags};
use oci::runtime::Spec;
use runtime::{Container, Created, Launch, ProcessIo, Rootfs};

/// A bundle whose containers are named after the test.
pub(crate) struct Bundle {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) id: String,
}

/// A process's output, and how it ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

const APPLETS: [&str; 24] = [
    "sh", "ls", "cat", "id", "echo", "sleep", "true", "false", "mount", "hostname", "pwd", "env",
    "stat", "mkdir", "touch", "dd", "ps", "kill", "test", "ulimit", "grep", "tty", "stty", "wc",
];

impl Bundle {
    pub(crate) fn new(test: &str) -> Self {
        assert!(rustix_is_root(), "these tests run containers and need root");
        let dir = tempfile::Builder::new()
            .prefix("tare-runtime-")
            .tempdir_in("/var/tmp")
            .unwrap();
        let rootfs = dir.path().join("rootfs");
        for folder in ["bin", "etc", "proc", "sys", "dev", "tmp", "home"] {
            std::fs::create_dir_all(rootfs.join(folder)).unwrap();
        }
        std::fs::copy("/bin/busybox", rootfs.join("bin/busybox"))
            .expect("busybox-static is installed");
        for applet in APPLETS {
            symlink("busybox", rootfs.join("bin").join(applet)).unwrap();
        }
        std::fs::write(
            rootfs.join("etc/passwd"),
            "root:x:0:0::/root:/bin/sh\nuser:x:1000:1000::/home:/bin/sh\n",
        )
        .unwrap();
        Self {
            dir,
            id: format!("{test}-{}", std::process::id()),
        }
    }

    pub(crate) fn rootfs(&self) -> PathBuf {
        self.dir.path().join("rootfs")
    }

    /// As Docker's default, to run a shell script.
    pub(crate) fn spec(&self, script: &str) -> Spec {
        let mut spec: Spec = serde_json::from_str(include_str!("docker.json")).unwrap();
        let process = spec.process.as_mut().unwrap();
        process.args = ["sh", "-c", script].map(str::to_owned).to_vec();
        spec.linux.as_mut().unwrap().cgroups_path =
            format!("/tare-runtime-test-{}", self.id).into();
        spec
    }

    pub(crate) fn create(&self, spec: &Spec, io: ProcessIo) -> runtime::Result<Created> {
        let rootfs = self.rootfs();
        runtime::create(Launch {
            id: &self.id,
            spec,
            bundle: self.dir.path(),
            rootfs: Rootfs::Dir(&rootfs),
            io,
            preserved: Vec::new(),
            no_pivot: false,
            filters: None,
            network: None,
        })
    }

    pub(crate) fn start(&self, spec: &Spec) -> runtime::Result<(Container, Output)> {
        let (io, output) = streams();
        Ok((self.create(spec, io)?.start()?, output))
    }

    /// Runs to the end and checks that nothing is left.
    pub(crate) fn run(&self, spec: &Spec) -> runtime::Result<Outcome> {
        let (container, output) = self.start(spec)?;
        let outcome = output.read();
        let code = container.pidfd().wait().unwrap().code();
        let cgroups = container.cgroup_paths();
        container.delete()?;
        assert!(!cgroups.is_empty());
        for path in cgroups {
            assert!(!path.exists(), "{} is left", path.display());
        }
        self.assert_no_mounts();
        Ok(Outcome { code, ..outcome })
    }

    pub(crate) fn assert_no_mounts(&self) {
        let table = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        assert!(
            !table.contains(self.dir.path().to_str().unwrap()),
            "a mount is left"
        );
    }
}

/// The reading ends of a process's output.
pub(crate) struct Output {
    stdout: OwnedFd,
    stderr: OwnedFd,
}

impl Output {
    /// All of it; a few kilobytes at most, since one stream is read after the other.
    pub(crate) fn read(self) -> Outcome {
        let read = |fd| String::from_utf8(file::read_all(fd, 1 << 20).unwrap()).unwrap();
        Outcome {
            code: -1,
            stdout: read(self.stdout),
            stderr: read(self.stderr),
        }
    }

    /// A line of standard output.
    pub(crate) fn line(&self) -> String {
        let mut line = Vec::new();
        loop {
            let byte = file::read_some(&self.stdout, 1).unwrap();
            if byte.is_empty() || byte == b"\n" {
                return String::from_utf8(line).unwrap();
            }
            line.extend(byte);
        }
    }
}

pub(crate) fn streams() -> (ProcessIo, Output) {
    let stdin = file::open(Path::new("/dev/null"), OFlags::RDONLY).unwrap();
    let (stdout, out) = linux::fd::pipe().unwrap();
    let (stderr, err) = linux::fd::pipe().unwrap();
    (
        ProcessIo::Fds {
            stdin,
            stdout: out,
            stderr: err,
        },
        Output { stdout, stderr },
    )
}

fn rustix_is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0)
}
