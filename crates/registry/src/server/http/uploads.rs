//! `/v2/<name>/blobs/uploads/`: pushing content, whole, in chunks or as a stream.

use std::sync::Arc;

use http::{StatusCode, header};
use hyper::body::Incoming;
use oci::Digest;

use super::{Answer, Asked, CONTENT_DIGEST, Reply, UPLOAD_UUID, blocking, put_header, read, reply};
use crate::server::Registry;
use crate::server::auth::Action;
use crate::server::failure::Failure;
use crate::server::name::{Name, UploadId};
use crate::server::pump::Pump;
use crate::server::range;
use crate::server::store::uploads::{Taken, Writer};

/// Begins an upload; or mounts a blob of another repository; or takes one whole, when its digest is given at once.
pub(super) async fn begin(registry: &Arc<Registry>, name: Name, asked: Asked) -> Answer {
    if let Some(digest) = asked.query.get("mount") {
        let digest: Digest = digest
            .parse()
            .map_err(|_| Failure::digest_invalid("mount: invalid digest"))?;
        if let Some(reply) = mount(registry, &name, digest, &asked).await? {
            return Ok(reply);
        }
    }
    let said = asked
        .query
        .get("digest")
        .map(str::parse::<Digest>)
        .transpose();
    let said = said.map_err(|_| Failure::digest_invalid("invalid digest"))?;
    let store = Arc::clone(&registry.store);
    let to = name.clone();
    let id = blocking(move || store.uploads().begin(&to)).await?;
    match said {
        Some(digest) => {
            let (taken, writer) = claim(registry, &name, &id, None).await?;
            let written = receive(registry, taken, writer, asked.body).await;
            finish(registry, name, written?, digest).await
        }
        None => Ok(accepted(StatusCode::ACCEPTED, &name, &id, 0)),
    }
}

/// `None` when the blob must be uploaded after all, as the specification wants it.
async fn mount(
    registry: &Arc<Registry>,
    name: &Name,
    digest: Digest,
    asked: &Asked,
) -> Result<Option<Reply>, Failure> {
    // Without `from` a registry may look everywhere; that would tell anyone what others have.
    let Some(from) = asked
        .query
        .get("from")
        .and_then(|from| from.parse::<Name>().ok())
    else {
        return Ok(None);
    };
    let reading = registry
        .door
        .check(&asked.headers, Action::Pull, Some(&from), &asked.base);
    if reading.await.is_err() {
        return Ok(None);
    }
    let store = Arc::clone(&registry.store);
    let (to, wanted) = (name.clone(), digest.clone());
    let mounted = blocking(move || store.mount(&from, &to, &wanted)).await?;
    Ok(mounted.then(|| created(name, &digest)))
}

pub(super) async fn status(registry: &Arc<Registry>, name: Name, id: UploadId) -> Answer {
    let (_, writer) = claim(registry, &name, &id, None).await?;
    Ok(accepted(StatusCode::NO_CONTENT, &name, &id, writer.size()))
}

pub(super) async fn patch(
    registry: &Arc<Registry>,
    name: Name,
    id: UploadId,
    asked: Asked,
) -> Answer {
    let (taken, writer) = claim(registry, &name, &id, Some(&asked)).await?;
    let before = writer.size();
    let writer = receive(registry, taken, writer, asked.body).await?;
    if let Some(expected) =
        read::text(&asked.headers, &header::CONTENT_RANGE).and_then(range::chunk)
        && writer.size() - before != expected.end - expected.start
    {
        return Err(Failure::new(
            StatusCode::BAD_REQUEST,
            "SIZE_INVALID",
            "the chunk is not as long as its Content-Range",
        ));
    }
    Ok(accepted(StatusCode::ACCEPTED, &name, &id, writer.size()))
}

pub(super) async fn put(
    registry: &Arc<Registry>,
    name: Name,
    id: UploadId,
    asked: Asked,
) -> Answer {
    let missing = || Failure::digest_invalid("a digest parameter is needed to end an upload");
    let said = asked.query.get("digest").ok_or_else(missing)?;
    let said: Digest = said
        .parse()
        .map_err(|_| Failure::digest_invalid("invalid digest"))?;
    let (taken, writer) = claim(registry, &name, &id, Some(&asked)).await?;
    let writer = receive(registry, taken, writer, asked.body).await?;
    finish(registry, name, writer, said).await
}

pub(super) async fn cancel(registry: &Arc<Registry>, name: Name, id: UploadId) -> Answer {
    let (_, writer) = claim(registry, &name, &id, None).await?;
    let store = Arc::clone(&registry.store);
    blocking(move || store.uploads().cancel(writer)).await?;
    Ok(reply(StatusCode::NO_CONTENT))
}

/// Takes the upload over from whoever still writes to it, and holds a chunk's `Content-Range` against what there is.
async fn claim(
    registry: &Arc<Registry>,
    name: &Name,
    id: &UploadId,
    chunk: Option<&Asked>,
) -> Result<(Taken, Writer), Failure> {
    let store = Arc::clone(&registry.store);
    let (of, wanted) = (name.clone(), id.clone());
    let session = blocking(move || store.uploads().session(&of, &wanted)).await?;
    let waiting = tokio::time::timeout(registry.patience, session.claim());
    let (claim, taken) = waiting.await.map_err(|_| Failure::too_slow())?;
    let size = claim.size();
    if let Some(header) = chunk.and_then(|asked| read::text(&asked.headers, &header::CONTENT_RANGE))
    {
        let fits = range::chunk(header).is_some_and(|range| range.start == size);
        if !fits {
            return Err(out_of_order(name, id, size));
        }
    }
    let store = Arc::clone(&registry.store);
    let writer = blocking(move || store.uploads().writer(&session, claim)).await?;
    Ok((taken, writer))
}

fn out_of_order(name: &Name, id: &UploadId, size: u64) -> Failure {
    let text = format!("{size} bytes have come: the next chunk begins there");
    Failure::new(
        StatusCode::RANGE_NOT_SATISFIABLE,
        "BLOB_UPLOAD_INVALID",
        text,
    )
    .with_header(header::LOCATION, &location(name, id))
    .with_header(header::RANGE, &so_far(size))
    .with_header(UPLOAD_UUID, id.as_str())
}

/// Writes a request's body to the upload. What has come before something breaks stays, so that a client can go on.
async fn receive(
    registry: &Arc<Registry>,
    mut taken: Taken,
    writer: Writer,
    mut body: Incoming,
) -> Result<Writer, Failure> {
    // So that what is in memory is bounded, however many push.
    let _turn = registry
        .receiving
        .acquire()
        .await
        .map_err(|_| Failure::internal())?;
    let mut pump = Pump::new(writer);
    let mut coming = read::Coming::new(registry.patience);
    let broken = loop {
        if let Err(failure) = coming.check() {
            break Some(failure);
        }
        let next = tokio::select! {
            next = read::piece(&mut body, registry.patience) => next,
            () = taken.over() => Err(Failure::upload_invalid("the upload goes on in another request")),
        };
        match next {
            Ok(Some(bytes)) => {
                coming.came(bytes.len());
                registry.metrics.received(bytes.len() as u64);
                pump.push(bytes).await?;
            }
            Ok(None) => break None,
            Err(failure) => break Some(failure),
        }
    };
    let writer = pump.end().await?;
    broken.map_or(Ok(writer), Err)
}

async fn finish(registry: &Arc<Registry>, name: Name, writer: Writer, digest: Digest) -> Answer {
    let store = Arc::clone(&registry.store);
    let (to, said) = (name.clone(), digest.clone());
    blocking(move || store.finish_upload(&to, writer, &said)).await?;
    Ok(created(&name, &digest))
}

fn created(name: &Name, digest: &Digest) -> Reply {
    let mut reply = reply(StatusCode::CREATED);
    put_header(
        &mut reply,
        header::LOCATION,
        &format!("/v2/{name}/blobs/{digest}"),
    );
    put_header(&mut reply, CONTENT_DIGEST, digest.as_str());
    put_header(&mut reply, header::CONTENT_LENGTH, "0");
    reply
}

fn accepted(status: StatusCode, name: &Name, id: &UploadId, size: u64) -> Reply {
    let mut reply = reply(status);
    put_header(&mut reply, header::LOCATION, &location(name, id));
    put_header(&mut reply, header::RANGE, &so_far(size));
    put_header(&mut reply, UPLOAD_UUID, id.as_str());
    reply
}

fn location(name: &Name, id: &UploadId) -> String {
    format!("/v2/{name}/blobs/uploads/{id}")
}

/// The last byte that has come. Nothing and one byte look alike here: the specification has it so.
fn so_far(size: u64) -> String {
    format!("0-{}", size.saturating_sub(1))
}
