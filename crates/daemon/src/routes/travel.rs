//! `/tare/images` and `/tare/layers`: images from one engine to another, without a registry between.
//!
//! A client that reaches both engines asks one for an image's parts, the other for what it has of its layers, passes on
//! what is missing, and names the image last. A layer travels as its uncompressed tar, whose digest is its name, and takes
//! the way of a pulled one: what arrived outlives a cut, and nothing is believed that has another digest.

use std::io::{self, Read, Write};

use api::types::travel::{Arrived, Document, Layer, LayerStatus, Parts};
use engine::{ByteReceiver, ByteSender};
use http::StatusCode;
use image::{Image, Ingested, PulledImage, Store};
use oci::{Descriptor, Digest, MAX_DOCUMENT, Manifest, Reference, media_type};

use super::files::{received, sent};
use super::images::{on_store, platform, publish};
use super::{Call, Reply};
use crate::http::body;
use crate::http::failure::{Failure, chain};
use crate::http::read;

/// How much is passed on at a time.
const PIECE: usize = 64 << 10;

/// `GET /tare/images/{name}`.
pub(super) async fn parts(call: Call) -> Reply {
    let (text, platform) = (call.name().to_owned(), platform(&call)?);
    let named = Reference::parse(&text)?.or_latest();
    let image = on_store(&call.app.engine, move |store| {
        store.provided(&text, platform.as_ref())
    })
    .await?;
    // Found by another registry's name, it goes under that.
    let own = |tag: &&Reference| **tag == named;
    let same = |tag: &&Reference| tag.tag() == named.tag() && tag.path().ends_with(named.path());
    let name = image.tags.iter().find(own);
    let name = name.or_else(|| image.tags.iter().find(same)).cloned();
    let name = name.ok_or_else(|| {
        Failure::bad_request(format!(
            "{} is no tag: name the image by one",
            named.familiar()
        ))
    })?;
    let id = image.id.clone();
    let found = on_store(&call.app.engine, move |store| {
        described(&store, &image, &name)
    })
    .await?;
    publish(&call.app.engine, "save", &id, id.as_str());
    body::json(&found)
}

fn described(store: &Store, image: &Image, name: &Reference) -> image::Result<Parts> {
    let text = |digest: &Digest| -> image::Result<String> {
        let bytes = store.document(digest)?.unwrap_or_default();
        Ok(String::from_utf8(bytes).unwrap_or_default())
    };
    let manifest = match &image.manifest {
        Some(descriptor) => Some(Document {
            text: text(&descriptor.digest)?,
            descriptor: Some(descriptor.clone()),
        }),
        None => None,
    };
    let sources = store.layer_sources(&image.config.rootfs.diff_ids)?;
    let layer = |source: image::LayerSource| Layer {
        diff_id: Some(source.diff_id),
        size: source.tar_size,
    };
    Ok(Parts {
        name: name.canonical(),
        config: text(&image.id)?,
        manifest,
        layers: sources.into_iter().map(layer).collect(),
    })
}

fn digest(call: &Call) -> Result<Digest, Failure> {
    let text = call.name();
    text.parse()
        .map_err(|e| Failure::bad_request(format!("layer {text:?}: {e}")))
}

/// A number that the query must have.
fn number(call: &Call, name: &str) -> Result<u64, Failure> {
    let text = call.query.text(name);
    text.parse()
        .map_err(|_| Failure::bad_request(format!("{name}={text:?} is no number")))
}

fn is_present(store: &Store, diff_id: &Digest) -> bool {
    store.layer_sources(std::slice::from_ref(diff_id)).is_ok()
}

/// `GET /tare/layers/{digest}/status`.
pub(super) async fn status(call: Call) -> Reply {
    let diff_id = digest(&call)?;
    let status = on_store(&call.app.engine, move |store| {
        Ok(LayerStatus {
            present: is_present(&store, &diff_id),
            have: store.fetched(&diff_id),
        })
    })
    .await?;
    body::json(&status)
}

/// `GET /tare/layers/{digest}?from=`: the rest of a layer's tar.
pub(super) async fn layer(call: Call) -> Reply {
    let (diff_id, from) = (digest(&call)?, number(&call, "from")?);
    let store = call.app.engine.images().clone();
    let (known, wanted) = (store.clone(), diff_id.clone());
    if !engine::blocking(move || is_present(&known, &wanted)).await {
        return Err(Failure::not_found(format!("No such layer: {diff_id}")));
    }
    let (sender, receiver) = engine::pipe(8);
    tokio::task::spawn_blocking(move || {
        let mut tail = Tail {
            to: sender,
            skip: from,
        };
        let written = store.write_layer_tar(&diff_id, &mut tail);
        let written = written.map_err(|e| io::Error::other(chain(&e)));
        if let Err(error) = written.and_then(|()| tail.flush()) {
            tail.to.fail(error);
        }
    });
    Ok(body::with(
        StatusCode::OK,
        "application/octet-stream",
        sent(receiver),
    ))
}

/// Passes on what comes behind the beginning.
struct Tail {
    to: ByteSender,
    skip: u64,
}

impl Write for Tail {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let skipped = usize::try_from(self.skip)
            .unwrap_or(usize::MAX)
            .min(bytes.len());
        self.skip -= skipped as u64;
        self.to.write_all(&bytes[skipped..])?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// `PUT /tare/layers/{digest}?size=&from=`: takes the layer's tar from that byte on.
pub(super) async fn receive(call: Call) -> Reply {
    let diff_id = digest(&call)?;
    let (size, from) = (number(&call, "size")?, number(&call, "from")?);
    let body = received(call.body);
    let status = on_store(&call.app.engine, move |store| {
        take(&store, &diff_id, size, from, body)
    })
    .await?;
    body::json(&status)
}

fn take(
    store: &Store,
    diff_id: &Digest,
    size: u64,
    from: u64,
    mut body: ByteReceiver,
) -> image::Result<LayerStatus> {
    let blob = Descriptor::new(media_type::OCI_LAYER, diff_id.clone(), size);
    let pull = store.pull();
    let mut ingest = loop {
        match pull.layer(&blob, diff_id)? {
            Ingested::Present => return Ok(there(size)),
            Ingested::Busy(other) => other.wait(),
            Ingested::Fetch(ingest) => break ingest,
        }
    };
    let have = ingest.have();
    if have < from {
        return Ok(LayerStatus {
            present: false,
            have,
        });
    }
    let mut skip = have - from;
    let mut piece = vec![0; PIECE];
    loop {
        let got = match body.read(&mut piece) {
            Ok(0) => break,
            Ok(got) => got,
            Err(source) => {
                ingest.suspend();
                let what = "receive the layer";
                return Err(image::Error::Stream { what, source });
            }
        };
        let old = usize::try_from(skip).unwrap_or(usize::MAX).min(got);
        skip -= old as u64;
        ingest.write(&piece[old..got])?;
    }
    let have = ingest.have();
    if have < size {
        // Cut off: the next attempt goes on here.
        ingest.suspend();
        return Ok(LayerStatus {
            present: false,
            have,
        });
    }
    ingest.finish()?;
    Ok(there(size))
}

fn there(size: u64) -> LayerStatus {
    LayerStatus {
        present: true,
        have: size,
    }
}

/// `POST /tare/images`: gives an image its name, once all its layers are there.
pub(super) async fn arrive(call: Call) -> Reply {
    let parts: Parts = read::json_or_default(&call.headers, call.body).await?;
    let name = Reference::parse(&parts.name)?;
    if name.tag().is_none() || name.digest().is_some() {
        return Err(Failure::bad_request("an image arrives under a tag"));
    }
    let bare = name.clone().without_tag();
    let of = Digest::sha256(parts.config.as_bytes());
    let manifest = parts.manifest.map(|document| checked(document, &of));
    let manifest = manifest.transpose()?;
    let mut names = vec![name];
    let digests = manifest.iter().map(|(descriptor, _)| &descriptor.digest);
    names.extend(digests.map(|digest| bare.clone().with_digest(digest.clone())));
    let image = PulledImage {
        config: parts.config.into_bytes(),
        manifest,
        index: None,
        names,
    };
    let pulled = on_store(&call.app.engine, move |store| store.pull().finish(image)).await?;
    publish(&call.app.engine, "load", &pulled.id, pulled.id.as_str());
    body::json(&Arrived {
        id: pulled.id.to_string(),
        moved: !pulled.moved.is_empty(),
    })
}

/// A manifest that is what its descriptor says, and the image's.
fn checked(document: Document, config: &Digest) -> Result<(Descriptor, Vec<u8>), Failure> {
    let bytes = document.text.into_bytes();
    let is_it = |descriptor: &Descriptor| {
        descriptor.size == bytes.len() as u64
            && descriptor.size <= MAX_DOCUMENT
            && descriptor.digest.matches(&bytes)
            && media_type::is_manifest(&descriptor.media_type)
            && Manifest::parse(&bytes).is_ok_and(|manifest| manifest.config.digest == *config)
    };
    match document.descriptor.filter(is_it) {
        Some(descriptor) => Ok((descriptor, bytes)),
        None => Err(Failure::bad_request(
            "the manifest is not what its descriptor says",
        )),
    }
}
