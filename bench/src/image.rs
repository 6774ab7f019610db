//! The image that pulls, pushes, loads and saves are measured with: 5 layers, 26,000 files, 980 MB, of which gzip makes
//! 335 MB. Made without a download, and the same bytes for the same salt: an engine that has the image of an earlier run
//! would not load or pull this one.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tar::{EntryType, Header};

/// What the archive names it.
pub(crate) const NAME: &str = "tare-bench:large";

/// Files and megabytes of each layer: a base system, a language, its packages, data, an application.
const LAYERS: [(u64, u64); 5] = [
    (6_000, 120),
    (9_000, 260),
    (8_000, 200),
    (500, 340),
    (2_500, 60),
];

/// Files of one folder.
const FOLDER: u64 = 100;

const TIME: u64 = 1_700_000_000;

/// Writes it as a docker-archive with plain layers.
pub(crate) fn write(path: &Path, salt: u64) -> Result<()> {
    let file = File::create(path).with_context(|| format!("create {}", path.display()))?;
    let mut out = BufWriter::with_capacity(1 << 20, file);
    let mut diff_ids = Vec::new();
    let mut names = Vec::new();
    for (number, (files, megabytes)) in LAYERS.into_iter().enumerate() {
        let layer = Plan::new(number as u64, files, megabytes * 1_000_000, salt);
        let name = format!("{number}/layer.tar");
        out.write_all(header(&name, layer.tar_size(), EntryType::Regular).as_bytes())?;
        let mut hashed = Hashed {
            out: &mut out,
            hasher: Sha256::new(),
        };
        layer.write(&mut hashed)?;
        diff_ids.push(format!("sha256:{}", hex(&hashed.hasher.finalize())));
        names.push(name);
    }
    let config = json!({
        "architecture": "amd64", "os": "linux", "created": "2023-11-14T22:13:20Z",
        "config": {"Cmd": ["/bin/true"]},
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
        "history": diff_ids.iter().map(|_| json!({"created": "2023-11-14T22:13:20Z", "created_by": "bench"}))
            .collect::<Vec<_>>(),
    });
    let index = json!([{"Config": "config.json", "RepoTags": [NAME], "Layers": names}]);
    for (name, document) in [("config.json", config), ("manifest.json", index)] {
        let bytes = serde_json::to_vec(&document)?;
        out.write_all(header(name, bytes.len() as u64, EntryType::Regular).as_bytes())?;
        out.write_all(&bytes)?;
        pad(&mut out, bytes.len() as u64)?;
    }
    out.write_all(&[0; 1024])?;
    out.flush().context("write the image")
}

/// A layer: the sizes of its files.
struct Plan {
    seed: u64,
    salt: u64,
    sizes: Vec<u64>,
}

impl Plan {
    /// Sizes as a file system has them: most are small, a few hold most of the bytes.
    fn new(seed: u64, files: u64, bytes: u64, salt: u64) -> Plan {
        let mut random = Random(seed + 1);
        let weights: Vec<u64> = (0..files)
            .map(|_| 1 << (random.next() % 11) << (random.next() % 4))
            .collect();
        let total: u64 = weights.iter().sum();
        let sizes = weights.iter().map(|weight| weight * bytes / total);
        Plan {
            seed,
            salt,
            sizes: sizes.collect(),
        }
    }

    fn tar_size(&self) -> u64 {
        let folders = (self.sizes.len() as u64).div_ceil(FOLDER) * 512;
        let files = self.sizes.iter().map(|size| 512 + size.div_ceil(512) * 512);
        files.sum::<u64>() + folders + 1024
    }

    fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let mut random = Random(self.seed + 100 + (self.salt << 8));
        let mut content = Vec::new();
        for (number, size) in (0u64..).zip(&self.sizes) {
            let folder = format!("l{}d{:03}/", self.seed, number / FOLDER);
            if number.is_multiple_of(FOLDER) {
                out.write_all(header(&folder, 0, EntryType::Directory).as_bytes())?;
            }
            let name = format!("{folder}file{number:05}");
            out.write_all(header(&name, *size, EntryType::Regular).as_bytes())?;
            fill(&mut content, *size as usize, &mut random);
            out.write_all(&content)?;
            pad(out, *size)?;
        }
        out.write_all(&[0; 1024])
    }
}

/// Words in lines, and now and then a stretch that does not compress, as programs and pictures do not.
fn fill(content: &mut Vec<u8>, size: usize, random: &mut Random) {
    content.clear();
    while content.len() < size {
        if random.next() % 100 < 2 {
            for _ in 0..64 {
                content.extend_from_slice(&random.next().to_le_bytes());
            }
            continue;
        }
        for _ in 0..12 {
            let mut word = Random(random.next() % 180 + 7);
            let length = 2 + word.next() % 9;
            content.extend((0..length).map(|_| b'a' + (word.next() % 26) as u8));
            content.push(b' ');
        }
        content.extend_from_slice(b"\n        ");
    }
    content.truncate(size);
}

/// xorshift64*: enough for numbers that only have to look mixed.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }
}

fn header(name: &str, size: u64, kind: EntryType) -> Header {
    let mut header = Header::new_ustar();
    header.set_path(name).expect("names are short");
    header.set_size(size);
    header.set_entry_type(kind);
    header.set_mode(if kind.is_dir() { 0o755 } else { 0o644 });
    header.set_mtime(TIME);
    header.set_uid(0);
    header.set_gid(0);
    header.set_cksum();
    header
}

fn pad(out: &mut impl Write, size: u64) -> io::Result<()> {
    let padding = (size.wrapping_neg() % 512) as usize;
    out.write_all(&[0; 512][..padding])
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

struct Hashed<W> {
    out: W,
    hasher: Sha256,
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
