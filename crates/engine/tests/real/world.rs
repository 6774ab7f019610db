//! An engine on folders of its own, with an image `box` that holds busybox.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use engine::options::{ContainerOptions, Echo};
use engine::{
    AttachOptions, Attached, Config, CreateRequest, Engine, Error, RemoveOptions, Stream,
    WaitCondition,
};
use linux::pidfd::PidFd;

const BUSYBOX: &str = "/usr/bin/busybox";
const APPLETS: &[&str] = &[
    "sh", "true", "false", "sleep", "cat", "echo", "id", "env", "ls", "hostname", "kill", "touch",
    "mkdir", "mount", "stat", "ps", "trap", "test", "printf", "pwd", "dd", "head", "wc",
];

/// Folders, a cgroup parent, and the engine over them. Leaves nothing behind.
pub(crate) struct World {
    pub(crate) root: tempfile::TempDir,
    cgroup_parent: String,
}

static NUMBER: AtomicU32 = AtomicU32::new(0);

impl World {
    pub(crate) fn new() -> Self {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let cgroup_parent = format!("/tare-engine-test-{}-{number}", std::process::id());
        Self {
            root: tempfile::tempdir().expect("a temporary folder"),
            cgroup_parent,
        }
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.root.path().join("data")
    }

    pub(crate) fn exec(&self) -> PathBuf {
        self.root.path().join("exec")
    }

    /// Opens the engine, and makes the image the first time.
    pub(crate) async fn open(&self) -> Engine {
        let mut config = Config::new(self.data(), self.exec(), shim());
        config.cgroup_parent.clone_from(&self.cgroup_parent);
        // Its device would be the host's, and stay after an engine that a test drops.
        config.networking.bridge = "none".into();
        let engine = Engine::open(config).await.expect("the engine opens");
        if engine.images().resolve("box").is_err() {
            let options = image::ImportOptions {
                reference: Some("box:latest".parse().expect("a reference")),
                changes: vec!["CMD [\"sh\"]".into(), "ENV FROM_IMAGE=yes".into()],
                ..Default::default()
            };
            engine
                .images()
                .import(&image_tar()[..], &options)
                .expect("the image is imported");
        }
        engine
    }

    /// Nothing of any container is left on the machine.
    pub(crate) fn assert_clean(&self) {
        for folder in [
            self.data().join("containers"),
            self.exec().join("containers"),
        ] {
            let left: Vec<_> = std::fs::read_dir(&folder)
                .expect("a folder")
                .flatten()
                .map(|e| e.path())
                .collect();
            assert!(left.is_empty(), "left behind: {left:?}");
        }
        let cgroups = std::fs::read_dir("/sys/fs/cgroup")
            .expect("cgroups")
            .flatten();
        for hierarchy in cgroups {
            let parent = hierarchy
                .path()
                .join(self.cgroup_parent.trim_start_matches('/'));
            let left: Vec<_> = std::fs::read_dir(parent)
                .into_iter()
                .flatten()
                .flatten()
                .filter(|e| e.path().is_dir())
                .collect();
            assert!(left.is_empty(), "left behind: {left:?}");
        }
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").expect("mounts");
        let here = self.root.path().to_string_lossy();
        assert!(!mounts.contains(&*here), "a mount is left behind");
    }
}

impl Drop for World {
    fn drop(&mut self) {
        for hierarchy in std::fs::read_dir("/sys/fs/cgroup")
            .into_iter()
            .flatten()
            .flatten()
        {
            let _ = std::fs::remove_dir(
                hierarchy
                    .path()
                    .join(self.cgroup_parent.trim_start_matches('/')),
            );
        }
    }
}

fn shim() -> PathBuf {
    let test = std::env::current_exe().expect("this test has a path");
    let path = test
        .ancestors()
        .nth(2)
        .expect("target folder")
        .join("tare-shim");
    assert!(
        path.exists(),
        "{} is missing: cargo build -p shim",
        path.display()
    );
    path
}

fn image_tar() -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    let busybox = std::fs::read(BUSYBOX).expect("static busybox on the host");
    let mut put = |path: &str, kind: tar::EntryType, mode: u32, data: &[u8], link: Option<&str>| {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(data.len() as u64);
        header.set_mtime(1_700_000_000);
        if let Some(link) = link {
            header.set_link_name(link).expect("a link");
        }
        header.set_path(path).expect("a path");
        header.set_cksum();
        tar.append(&header, data).expect("an entry");
    };
    put("bin/", tar::EntryType::Directory, 0o755, b"", None);
    put("etc/", tar::EntryType::Directory, 0o755, b"", None);
    put("tmp/", tar::EntryType::Directory, 0o1777, b"", None);
    put("stuff/", tar::EntryType::Directory, 0o750, b"", None);
    put(
        "stuff/file",
        tar::EntryType::Regular,
        0o644,
        b"from the image\n",
        None,
    );
    put(
        "etc/passwd",
        tar::EntryType::Regular,
        0o644,
        b"root:x:0:0:root:/root:/bin/sh\nann:x:7:8::/home/ann:/bin/sh\n",
        None,
    );
    put(
        "etc/group",
        tar::EntryType::Regular,
        0o644,
        b"root:x:0:\nann:x:8:\nextra:x:9:ann\n",
        None,
    );
    put("etc/notexec", tar::EntryType::Regular, 0o644, b"x", None);
    put(
        "bin/busybox",
        tar::EntryType::Regular,
        0o755,
        &busybox,
        None,
    );
    for applet in APPLETS {
        put(
            &format!("bin/{applet}"),
            tar::EntryType::Symlink,
            0o777,
            b"",
            Some("busybox"),
        );
    }
    tar.into_inner().expect("a tar")
}

/// A request to run a shell script.
pub(crate) fn script(text: &str) -> ContainerOptions {
    command(&["sh", "-c", text])
}

pub(crate) fn command(words: &[&str]) -> ContainerOptions {
    let mut options = ContainerOptions {
        image: "box".into(),
        cmd: Some(words.iter().map(|w| (*w).to_owned()).collect()),
        ..Default::default()
    };
    options.host.network_mode = "none".into();
    options
}

pub(crate) fn request(name: &str, options: ContainerOptions) -> CreateRequest {
    let empty = || serde_json::value::RawValue::from_string("{}".into()).expect("JSON");
    CreateRequest {
        name: (!name.is_empty()).then(|| name.to_owned()),
        options,
        echo: Echo {
            config: empty(),
            host_config: empty(),
            networking: empty(),
        },
    }
}

/// What a finished run gave.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// `run --rm`.
pub(crate) async fn run(engine: &Engine, options: ContainerOptions) -> Result<Ran, Error> {
    let id = engine.create(request("", options)).await?.id.to_string();
    let result = run_created(engine, &id).await;
    engine
        .remove(
            &id,
            RemoveOptions {
                force: true,
                volumes: true,
                link: false,
            },
        )
        .await
        .expect("it is removed");
    result
}

async fn run_created(engine: &Engine, id: &str) -> Result<Ran, Error> {
    let attached = engine.attach(id, everything()).await?;
    let wait = engine.wait(id, WaitCondition::NextExit).await?;
    engine.start(id).await?;
    let mut ran = output_of(attached).await;
    ran.code = soon(wait.outcome()).await.code;
    Ok(ran)
}

pub(crate) fn everything() -> AttachOptions {
    AttachOptions {
        stdin: true,
        stdout: true,
        stderr: true,
        stream: true,
        ..Default::default()
    }
}

/// Everything that comes until the end.
pub(crate) async fn output_of(mut attached: Attached) -> Ran {
    let mut ran = Ran::default();
    while let Some((stream, bytes)) = soon(attached.output.next()).await {
        let text = String::from_utf8_lossy(&bytes);
        match stream {
            Stream::Stdout => ran.stdout.push_str(&text),
            Stream::Stderr => ran.stderr.push_str(&text),
        }
    }
    ran
}

/// Nothing in these tests takes longer.
const PATIENCE: Duration = Duration::from_secs(20);

/// Nothing in these tests takes long.
pub(crate) async fn soon<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, work)
        .await
        .expect("this takes too long")
}

/// Waits until the last task of an engine that was dropped has noticed, and its store is closed; a killed process would
/// be gone at once.
pub(crate) async fn closed(world: &World) {
    let store = world.data().join("image/store.redb");
    let locked = engine::blocking(move || {
        let store = std::fs::File::open(&store)?;
        // The same lock as the store's, so the kernel wakes us when that one goes.
        store.lock()
    });
    soon(locked).await.expect("the store's lock");
}

/// Waits for the end of a process.
pub(crate) async fn ended(process: PidFd) {
    let ended = engine::blocking(move || process.wait_readable(Some(PATIENCE)));
    assert!(ended.await.expect("a pidfd"), "the process does not end");
}

pub(crate) fn read(path: impl AsRef<Path>) -> String {
    std::fs::read_to_string(path.as_ref())
        .unwrap_or_else(|e| panic!("{}: {e}", path.as_ref().display()))
}
