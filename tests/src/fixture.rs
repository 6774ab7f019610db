//! Image archives made by the test itself, byte by byte where it matters.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use flate2::write::GzEncoder;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tar::{EntryType, Header};

/// How a layer, or a whole archive, is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    Plain,
    Gzip,
    Zstd,
}

impl Compression {
    pub fn apply(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Compression::Plain => bytes.to_vec(),
            Compression::Gzip => {
                let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
                encoder
                    .write_all(bytes)
                    .and_then(|()| encoder.finish())
                    .expect("gzip")
            }
            Compression::Zstd => zstd::encode_all(bytes, 1).expect("zstd"),
        }
    }

    fn media_type(self) -> &'static str {
        match self {
            Compression::Plain => "application/vnd.oci.image.layer.v1.tar",
            Compression::Gzip => "application/vnd.oci.image.layer.v1.tar+gzip",
            Compression::Zstd => "application/vnd.oci.image.layer.v1.tar+zstd",
        }
    }
}

/// One entry of a tar, made by its kind and then refined.
#[derive(Clone, Debug)]
pub struct Entry {
    path: String,
    kind: EntryType,
    mode: u32,
    owner: (u64, u64),
    seconds: u64,
    link: String,
    device: Option<(u32, u32)>,
    content: Vec<u8>,
    pax: Vec<(String, Vec<u8>)>,
}

impl Entry {
    fn new(path: &str, kind: EntryType, mode: u32) -> Entry {
        let path = path.to_owned();
        let (link, content, pax) = (String::new(), Vec::new(), Vec::new());
        Entry {
            path,
            kind,
            mode,
            owner: (0, 0),
            seconds: 1_600_000_000,
            link,
            device: None,
            content,
            pax,
        }
    }

    pub fn file(path: &str, content: impl Into<Vec<u8>>) -> Entry {
        Entry {
            content: content.into(),
            ..Entry::new(path, EntryType::Regular, 0o644)
        }
    }

    pub fn program(path: &str, content: impl Into<Vec<u8>>) -> Entry {
        Entry {
            mode: 0o755,
            ..Entry::file(path, content)
        }
    }

    pub fn folder(path: &str) -> Entry {
        Entry::new(path, EntryType::Directory, 0o755)
    }

    pub fn symlink(path: &str, link: &str) -> Entry {
        Entry {
            link: link.into(),
            ..Entry::new(path, EntryType::Symlink, 0o777)
        }
    }

    pub fn hard_link(path: &str, link: &str) -> Entry {
        Entry {
            link: link.into(),
            ..Entry::new(path, EntryType::Link, 0o644)
        }
    }

    pub fn device(path: &str, major: u32, minor: u32) -> Entry {
        Entry {
            device: Some((major, minor)),
            ..Entry::new(path, EntryType::Char, 0o666)
        }
    }

    pub fn fifo(path: &str) -> Entry {
        Entry::new(path, EntryType::Fifo, 0o644)
    }

    pub fn mode(self, mode: u32) -> Entry {
        Entry { mode, ..self }
    }

    pub fn owner(self, uid: u64, gid: u64) -> Entry {
        Entry {
            owner: (uid, gid),
            ..self
        }
    }

    pub fn seconds(self, seconds: u64) -> Entry {
        Entry { seconds, ..self }
    }

    /// A PAX record, such as `mtime` or `SCHILY.xattr.user.x`.
    pub fn pax(mut self, key: &str, value: impl Into<Vec<u8>>) -> Entry {
        self.pax.push((key.to_owned(), value.into()));
        self
    }
}

/// A tar in the making.
#[derive(Default)]
pub struct Archive {
    bytes: Vec<u8>,
}

impl Archive {
    pub fn new(entries: &[Entry]) -> Archive {
        let mut archive = Archive::default();
        entries.iter().for_each(|entry| archive.add(entry));
        archive
    }

    /// Adds an entry. The path is written as it is, `..` and leading slashes too; a long one as a PAX record.
    pub fn add(&mut self, entry: &Entry) {
        let mut pax = entry.pax.clone();
        if entry.path.len() > 100 {
            pax.push(("path".into(), entry.path.clone().into_bytes()));
        }
        if entry.link.len() > 100 {
            pax.push(("linkpath".into(), entry.link.clone().into_bytes()));
        }
        if !pax.is_empty() {
            let records: Vec<u8> = pax
                .iter()
                .flat_map(|(key, value)| pax_record(key, value))
                .collect();
            let mut header = header(&Entry::new("PaxHeaders/entry", EntryType::XHeader, 0o644));
            header.set_size(records.len() as u64);
            self.write(header, &records);
        }
        let mut header = header(entry);
        header.set_size(entry.content.len() as u64);
        self.write(header, &entry.content);
    }

    fn write(&mut self, mut header: Header, content: &[u8]) {
        header.set_cksum();
        self.bytes.extend_from_slice(header.as_bytes());
        self.bytes.extend_from_slice(content);
        self.bytes.resize(self.bytes.len().next_multiple_of(512), 0);
    }

    /// The tar with its end marks.
    pub fn finish(mut self) -> Vec<u8> {
        self.bytes.resize(self.bytes.len() + 1024, 0);
        self.bytes
    }

    /// The tar cut off where it is, without end marks.
    pub fn unfinished(self) -> Vec<u8> {
        self.bytes
    }
}

fn header(entry: &Entry) -> Header {
    let mut header = Header::new_ustar();
    // Byte by byte, because the crate's own setters refuse what a hostile archive holds.
    let name = entry.path.as_bytes();
    let length = name.len().min(100);
    header.as_old_mut().name[..length].copy_from_slice(&name[..length]);
    let link = entry.link.as_bytes();
    let length = link.len().min(100);
    header.as_old_mut().linkname[..length].copy_from_slice(&link[..length]);
    header.set_entry_type(entry.kind);
    header.set_mode(entry.mode);
    header.set_uid(entry.owner.0);
    header.set_gid(entry.owner.1);
    header.set_mtime(entry.seconds);
    if let Some((major, minor)) = entry.device {
        header
            .set_device_major(major)
            .and_then(|()| header.set_device_minor(minor))
            .expect("a ustar header");
    }
    header
}

/// `LENGTH KEY=VALUE\n`, where the length counts itself.
fn pax_record(key: &str, value: &[u8]) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + rest.to_string().len();
    if rest + length.to_string().len() != length {
        length = rest + length.to_string().len();
    }
    let mut record = format!("{length} {key}=").into_bytes();
    record.extend_from_slice(value);
    record.push(b'\n');
    record
}

/// A layer: its tar, and how it travels.
#[derive(Clone, Debug)]
pub struct Layer {
    pub tar: Vec<u8>,
    pub compression: Compression,
}

impl Layer {
    pub fn new(entries: &[Entry]) -> Layer {
        Layer {
            tar: Archive::new(entries).finish(),
            compression: Compression::Plain,
        }
    }

    /// `sha256:` and the hash of the tar itself.
    pub fn diff_id(&self) -> String {
        digest(&self.tar)
    }
}

/// An image, to be written as an archive of either kind.
#[derive(Clone, Debug)]
pub struct Image {
    pub name: String,
    pub layers: Vec<Layer>,
    /// The `config` object of the image's JSON.
    pub config: Value,
}

impl Image {
    pub fn new(name: &str, layers: Vec<Layer>, config: Value) -> Image {
        Image {
            name: name.to_owned(),
            layers,
            config,
        }
    }

    /// The image's configuration as bytes; its digest is the image's ID.
    pub fn document(&self) -> Vec<u8> {
        let diff_ids: Vec<String> = self.layers.iter().map(Layer::diff_id).collect();
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        let history: Vec<Value> = (0..self.layers.len())
            .map(|number| json!({"created": "2024-05-06T07:08:09Z", "created_by": format!("step {number}")}))
            .collect();
        let document = json!({
            "architecture": architecture, "os": "linux", "created": "2024-05-06T07:08:09.123456789Z",
            "author": "the tests", "config": self.config,
            "rootfs": {"type": "layers", "diff_ids": diff_ids}, "history": history,
        });
        serde_json::to_vec(&document).expect("JSON")
    }

    pub fn id(&self) -> String {
        digest(&self.document())
    }

    /// As `docker save` of old wrote it: manifest.json, the configuration, a tar a layer.
    pub fn docker_archive(&self) -> Vec<u8> {
        let config = self.document();
        let config_name = format!("{}.json", digest(&config).trim_start_matches("sha256:"));
        let names: Vec<String> = (0..self.layers.len())
            .map(|number| format!("layer{number}/layer.tar"))
            .collect();
        let manifest = json!([{"Config": config_name, "RepoTags": [self.name], "Layers": names}]);
        let mut archive = Archive::new(&[Entry::file(&config_name, config)]);
        for (layer, name) in self.layers.iter().zip(&names) {
            archive.add(&Entry::file(name, layer.compression.apply(&layer.tar)));
        }
        archive.add(&Entry::file("manifest.json", manifest.to_string()));
        archive.finish()
    }

    /// As an OCI image layout in a tar, with the name as annotation of the index.
    pub fn oci_layout(&self) -> Vec<u8> {
        let mut archive = Archive::new(&[Entry::file(
            "oci-layout",
            r#"{"imageLayoutVersion":"1.0.0"}"#,
        )]);
        archive.add(&Entry::folder("blobs/"));
        archive.add(&Entry::folder("blobs/sha256/"));
        let mut blob = |bytes: &[u8], media_type: &str| {
            let digest = digest(bytes);
            archive.add(&Entry::file(
                &format!("blobs/{}", digest.replace(':', "/")),
                bytes,
            ));
            json!({"mediaType": media_type, "digest": digest, "size": bytes.len()})
        };
        let config = blob(&self.document(), "application/vnd.oci.image.config.v1+json");
        let pack = |layer: &Layer| {
            (
                layer.compression.apply(&layer.tar),
                layer.compression.media_type(),
            )
        };
        let layers: Vec<Value> = self
            .layers
            .iter()
            .map(pack)
            .map(|(bytes, kind)| blob(&bytes, kind))
            .collect();
        let media_type = "application/vnd.oci.image.manifest.v1+json";
        let manifest = json!({"schemaVersion": 2, "mediaType": media_type, "config": config, "layers": layers});
        let mut descriptor = blob(manifest.to_string().as_bytes(), media_type);
        let full = format!("docker.io/library/{}", self.name);
        descriptor["annotations"] = json!({"io.containerd.image.name": full, "org.opencontainers.image.ref.name": "latest"});
        let index = json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [descriptor]});
        archive.add(&Entry::file("index.json", index.to_string()));
        archive.finish()
    }
}

/// The image of most tests: busybox with all its applets.
pub const IMAGE: &str = "e2e-busybox";

/// That image as a docker-archive, from the machine's own static busybox.
pub fn busybox() -> Vec<u8> {
    Image::new(&format!("{IMAGE}:latest"), vec![busybox_layer()], json!({"Cmd": ["sh"], "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]}))
        .docker_archive()
}

/// The layer of the busybox image: every applet, and the few files that programs look for.
pub fn busybox_layer() -> Layer {
    let path = std::env::var_os("PATH").expect("PATH");
    let found = std::env::split_paths(&path)
        .map(|folder| folder.join("busybox"))
        .find(|file| file.is_file());
    let program = found.expect("busybox on PATH: Debian's package busybox-static");
    let mut entries = vec![
        Entry::folder("bin/"),
        Entry::program("bin/busybox", fs::read(&program).expect("read busybox")),
    ];
    for applet in applets(&program) {
        entries.push(Entry::symlink(&format!("bin/{applet}"), "busybox"));
    }
    for folder in [
        "etc/", "root/", "home/", "var/", "usr/", "usr/bin/", "dev/", "proc/", "sys/",
    ] {
        entries.push(Entry::folder(folder));
    }
    entries.push(Entry::folder("tmp/").mode(0o1777));
    entries.push(Entry::file("etc/passwd", "root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1:daemon:/usr/sbin:/bin/false\nuser:x:1000:1000::/home:/bin/sh\n"));
    entries.push(Entry::file(
        "etc/group",
        "root:x:0:\ndaemon:x:1:\nuser:x:1000:\nextra:x:2000:user\n",
    ));
    Layer::new(&entries)
}

fn applets(busybox: &Path) -> Vec<String> {
    let output = std::process::Command::new(busybox)
        .arg("--list")
        .output()
        .expect("busybox --list");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines()
        .filter(|applet| *applet != "busybox")
        .map(str::to_owned)
        .collect()
}

/// `sha256:` and the hash in hexadecimal digits.
pub fn digest(bytes: &[u8]) -> String {
    let hash = Sha256::digest(bytes);
    hash.iter().fold("sha256:".to_owned(), |text, byte| {
        text + &format!("{byte:02x}")
    })
}
