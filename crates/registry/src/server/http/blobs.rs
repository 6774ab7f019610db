//! `/v2/<name>/blobs/<digest>`: pulling and deleting content.

use std::sync::Arc;

use http::{Method, StatusCode, header};
use oci::Digest;
use rustix::fs::{Advice, fadvise};

use super::content::{Content, FilePart};
use super::{Answer, Asked, CONTENT_DIGEST, Reply, blocking, put_header, read, reply};
use crate::server::Registry;
use crate::server::failure::Failure;
use crate::server::name::Name;
use crate::server::range::{self, Asked as Part};
use crate::server::store::{Blob, Error};

/// A download longer than this asks the kernel to read ahead.
const LONG: u64 = 1 << 20;

pub(super) async fn get(
    registry: &Arc<Registry>,
    name: Name,
    digest: Digest,
    asked: &Asked,
) -> Answer {
    if is_same(asked, &digest) {
        let mut reply = reply(StatusCode::NOT_MODIFIED);
        describe(&mut reply, &digest);
        return Ok(reply);
    }
    let found = if asked.method == Method::HEAD {
        head(registry, &name, &digest).await
    } else {
        open(registry, &name, &digest, asked).await
    };
    match found {
        Err(failure) if failure.status == StatusCode::NOT_FOUND => {
            match registry.upstream_of(&name) {
                Some(upstream) => {
                    upstream
                        .blob(registry, &name, &digest, asked.method == Method::HEAD)
                        .await
                }
                None => Err(failure),
            }
        }
        found => found,
    }
    .map(|mut reply| {
        describe(&mut reply, &digest);
        reply
    })
}

async fn head(registry: &Arc<Registry>, name: &Name, digest: &Digest) -> Answer {
    let store = Arc::clone(&registry.store);
    let (name, digest, grace) = (name.clone(), digest.clone(), registry.half_grace());
    let size = blocking(move || {
        // Before the answer: who is told that it is there may rely on it.
        if let Some(grace) = grace {
            store.touch_blob(&name, &digest, grace)?;
        }
        store.blob_size(&name, &digest)
    })
    .await?;
    let mut reply = reply(StatusCode::OK);
    put_header(&mut reply, header::CONTENT_LENGTH, &size.to_string());
    Ok(reply)
}

async fn open(registry: &Arc<Registry>, name: &Name, digest: &Digest, asked: &Asked) -> Answer {
    let store = Arc::clone(&registry.store);
    let (name, digest) = (name.clone(), digest.clone());
    let blob = blocking(move || {
        let blob = store.blob(&name, &digest)?;
        if blob.size > LONG {
            // Only a hint: what cannot take it reads as well without.
            let _ = fadvise(&blob.file, 0, None, Advice::Sequential);
        }
        Ok(blob)
    })
    .await?;
    serve_part(registry, blob, asked)
}

fn serve_part(registry: &Registry, blob: Blob, asked: &Asked) -> Answer {
    let size = blob.size;
    let header = read::text(&asked.headers, &header::RANGE);
    let (status, part) = match range::asked(header, size) {
        Part::All => (StatusCode::OK, 0..size),
        Part::Part(part) => (StatusCode::PARTIAL_CONTENT, part),
        Part::Nothing => {
            let text = format!("the blob has {size} bytes");
            let failure = Failure::new(StatusCode::RANGE_NOT_SATISFIABLE, "UNKNOWN", text);
            return Err(failure.with_header(header::CONTENT_RANGE, &format!("bytes */{size}")));
        }
    };
    let mut reply = reply(status);
    if status == StatusCode::PARTIAL_CONTENT {
        let range = format!("bytes {}-{}/{size}", part.start, part.end - 1);
        put_header(&mut reply, header::CONTENT_RANGE, &range);
    }
    let count = part.end - part.start;
    put_header(&mut reply, header::CONTENT_LENGTH, &count.to_string());
    registry.metrics.sending(count);
    *reply.body_mut() = Content::File(FilePart::new(
        blob.file,
        part,
        Arc::clone(&registry.buffers),
    ));
    Ok(reply)
}

/// What every answer about a blob says. Content by digest never changes.
fn describe(reply: &mut Reply, digest: &Digest) {
    put_header(reply, header::CONTENT_TYPE, "application/octet-stream");
    put_header(reply, header::ACCEPT_RANGES, "bytes");
    put_header(reply, header::ETAG, &format!("\"{digest}\""));
    put_header(reply, header::CACHE_CONTROL, "max-age=31536000");
    put_header(reply, CONTENT_DIGEST, digest.as_str());
}

fn is_same(asked: &Asked, digest: &Digest) -> bool {
    let known = read::text(&asked.headers, &header::IF_NONE_MATCH);
    known.is_some_and(|known| known.trim().trim_matches('"') == digest.as_str())
}

pub(super) async fn delete(registry: &Arc<Registry>, name: Name, digest: Digest) -> Answer {
    let store = Arc::clone(&registry.store);
    blocking(move || -> Result<(), Error> { store.unlink_blob(&name, &digest) }).await?;
    Ok(reply(StatusCode::ACCEPTED))
}
