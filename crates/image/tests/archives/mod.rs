//! Image archives made in memory.
#![allow(dead_code, reason = "each test file uses its part")]

use std::io::Write;
use std::path::Path;

use oci::{Descriptor, Digest, Index, Manifest, media_type};
use serde_json::json;

/// A layer's tar of plain files.
pub(crate) fn layer(files: &[(&str, &str)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(1_700_000_000);
        builder
            .append_data(&mut header, path, content.as_bytes())
            .unwrap();
    }
    builder.into_inner().unwrap()
}

/// A tar of members with these contents.
pub(crate) fn members(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        builder
            .append_data(&mut header, path, &content[..])
            .unwrap();
    }
    builder.into_inner().unwrap()
}

pub(crate) fn config(layers: &[Vec<u8>]) -> Vec<u8> {
    let ids: Vec<_> = layers.iter().map(|layer| Digest::sha256(layer)).collect();
    let config = json!({
        "architecture": oci::Platform::host().architecture, "os": "linux",
        "config": {"Cmd": ["/a"]}, "created": "2026-01-02T03:04:05Z",
        "rootfs": {"type": "layers", "diff_ids": ids},
        "history": ids.iter().map(|_| json!({"created": "2026-01-02T03:04:05Z", "created_by": "test"})).collect::<Vec<_>>(),
    });
    serde_json::to_vec(&config).unwrap()
}

pub(crate) fn docker_archive(tag: &str, layers: &[Vec<u8>]) -> Vec<u8> {
    docker_archive_of(tag, layers, layers)
}

/// `packed` is what the archive holds of `layers`.
pub(crate) fn docker_archive_of(tag: &str, layers: &[Vec<u8>], packed: &[Vec<u8>]) -> Vec<u8> {
    let config = config(layers);
    let names: Vec<_> = (0..layers.len())
        .map(|n| format!("{n}/layer.tar"))
        .collect();
    let index = json!([{"Config": "config.json", "RepoTags": [tag], "Layers": names}]);
    let mut files: Vec<_> = names.into_iter().zip(packed.iter().cloned()).collect();
    files.push(("config.json".to_owned(), config));
    files.push((
        "manifest.json".to_owned(),
        serde_json::to_vec(&index).unwrap(),
    ));
    members(&files)
}

pub(crate) fn blob(bytes: &[u8]) -> (String, Vec<u8>) {
    (
        format!("blobs/sha256/{}", Digest::sha256(bytes).hex()),
        bytes.to_vec(),
    )
}

/// An OCI layout with one manifest.
pub(crate) fn oci_layout(name: Option<&str>, layers: &[Vec<u8>], packed: &[Vec<u8>]) -> Vec<u8> {
    let config = config(layers);
    let descriptors = packed
        .iter()
        .map(|bytes| Descriptor::of(media_type::OCI_LAYER_GZIP, bytes))
        .collect();
    let manifest =
        Manifest::new(Descriptor::of(media_type::OCI_CONFIG, &config), descriptors).to_bytes();
    let mut descriptor = Descriptor::of(media_type::OCI_MANIFEST, &manifest);
    if let Some(name) = name {
        descriptor
            .annotations
            .insert("io.containerd.image.name".to_owned(), name.to_owned());
    }
    let mut files: Vec<_> = packed.iter().map(|bytes| blob(bytes)).collect();
    files.push(blob(&config));
    files.push(blob(&manifest));
    files.push((
        "index.json".to_owned(),
        Index::new(vec![descriptor]).to_bytes(),
    ));
    files.push((
        "oci-layout".to_owned(),
        br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec(),
    ));
    members(&files)
}

pub(crate) fn plain(bytes: &[u8]) -> Vec<u8> {
    bytes.to_vec()
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn zstd(bytes: &[u8]) -> Vec<u8> {
    ::zstd::encode_all(bytes, 1).unwrap()
}

/// What overlayfs leaves where a file of a lower layer was removed.
pub(crate) fn whiteout(path: &Path) {
    rustix::fs::mknodat(
        rustix::fs::CWD,
        path,
        rustix::fs::FileType::CharacterDevice,
        rustix::fs::Mode::empty(),
        0,
    )
    .unwrap();
}

/// A data root in memory where there is one: every store that opens waits for the disk several times.
pub(crate) fn scratch() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm")
        .or_else(|_| tempfile::tempdir())
        .unwrap()
}
