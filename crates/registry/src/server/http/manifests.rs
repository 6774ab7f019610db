//! Manifests, and the lists that lead to them: tags, repositories, referrers.

use std::sync::Arc;

use http::{Method, StatusCode, header};
use oci::{Digest, Index, MAX_DOCUMENT, media_type};
use serde_json::json;

use super::{
    Answer, Asked, CONTENT_DIGEST, Content, OCI_FILTERS, OCI_SUBJECT, blocking, json, put_header,
    read, reply,
};
use crate::server::Registry;
use crate::server::failure::Failure;
use crate::server::name::{Name, Reach};
use crate::server::query::{self, Page};
use crate::server::store::{Fetched, Parts};

/// Descriptors in one answer about referrers: each may carry annotations.
const REFERRERS: usize = 1_000;

pub(super) async fn get(
    registry: &Arc<Registry>,
    name: Name,
    reach: Reach,
    asked: &Asked,
) -> Answer {
    let fetched = match registry.upstream_of(&name) {
        Some(upstream) => upstream.manifest(registry, &name, &reach).await?,
        None => fetch(registry, name, reach, asked.method == Method::HEAD).await?,
    };
    let etag = format!("\"{}\"", fetched.digest);
    let known = read::text(&asked.headers, &header::IF_NONE_MATCH);
    let same = known.is_some_and(|known| known.trim() == etag);
    let mut reply = reply(if same {
        StatusCode::NOT_MODIFIED
    } else {
        StatusCode::OK
    });
    put_header(&mut reply, header::ETAG, &etag);
    put_header(&mut reply, CONTENT_DIGEST, fetched.digest.as_str());
    if !same {
        put_header(&mut reply, header::CONTENT_TYPE, &fetched.media_type);
        put_header(
            &mut reply,
            header::CONTENT_LENGTH,
            &fetched.bytes.len().to_string(),
        );
        if asked.method == Method::GET {
            registry.metrics.sending(fetched.bytes.len() as u64);
            *reply.body_mut() = Content::of(fetched.bytes);
        }
    }
    Ok(reply)
}

async fn fetch(
    registry: &Arc<Registry>,
    name: Name,
    reach: Reach,
    relied_upon: bool,
) -> Result<Fetched, Failure> {
    let store = Arc::clone(&registry.store);
    let grace = registry.half_grace().filter(|_| relied_upon);
    blocking(move || {
        if let (Reach::Digest(digest), Some(grace)) = (&reach, grace) {
            store.touch_manifest(&name, digest, grace)?;
        }
        store.manifest(&name, &reach)
    })
    .await
}

pub(super) async fn put(
    registry: &Arc<Registry>,
    name: Name,
    reach: Reach,
    asked: Asked,
) -> Answer {
    let most = usize::try_from(MAX_DOCUMENT).unwrap_or(usize::MAX);
    let _turn = registry
        .receiving
        .acquire()
        .await
        .map_err(|_| Failure::internal())?;
    let bytes = read::whole(&asked.headers, asked.body, most, registry.patience).await?;
    registry.metrics.received(bytes.len() as u64);
    let content_type = read::text(&asked.headers, &header::CONTENT_TYPE).map(str::to_owned);
    let store = Arc::clone(&registry.store);
    let to = name.clone();
    let stored = blocking(move || {
        store.put_manifest(
            &to,
            &reach,
            content_type.as_deref(),
            &bytes,
            Parts::Required,
        )
    })
    .await?;
    let mut reply = reply(StatusCode::CREATED);
    let location = format!("/v2/{name}/manifests/{}", stored.digest);
    put_header(&mut reply, header::LOCATION, &location);
    put_header(&mut reply, CONTENT_DIGEST, stored.digest.as_str());
    put_header(&mut reply, header::CONTENT_LENGTH, "0");
    if let Some(subject) = stored.subject {
        put_header(&mut reply, OCI_SUBJECT, subject.as_str());
    }
    Ok(reply)
}

pub(super) async fn delete(registry: &Arc<Registry>, name: Name, reach: Reach) -> Answer {
    let store = Arc::clone(&registry.store);
    blocking(move || match &reach {
        Reach::Tag(tag) => store.delete_tag(&name, tag),
        Reach::Digest(digest) => store.delete_manifest(&name, digest),
    })
    .await?;
    Ok(reply(StatusCode::ACCEPTED))
}

pub(super) async fn tags(registry: &Arc<Registry>, name: Name, asked: &Asked) -> Answer {
    let page = page(asked)?;
    let (tags, more) = match registry.upstream_of(&name) {
        Some(upstream) => upstream.tags(registry, &name, &page).await?,
        None => {
            let store = Arc::clone(&registry.store);
            let (of, wanted) = (name.clone(), page.clone());
            blocking(move || store.tags(&of, &wanted)).await?
        }
    };
    let body = json!({ "name": name.as_str(), "tags": &tags });
    list(&body, &page, tags.last().filter(|_| more), asked)
}

pub(super) async fn catalog(registry: &Arc<Registry>, asked: &Asked) -> Answer {
    let page = page(asked)?;
    let store = Arc::clone(&registry.store);
    let wanted = page.clone();
    let (names, more) = blocking(move || store.catalog(&wanted)).await?;
    let body = json!({ "repositories": &names });
    list(&body, &page, names.last().filter(|_| more), asked)
}

fn list(body: &serde_json::Value, page: &Page, last: Option<&String>, asked: &Asked) -> Answer {
    let mut reply = json(StatusCode::OK, body.to_string())?;
    if let Some(last) = last {
        let link = query::next(&asked.path, page.count, last, &[]);
        put_header(&mut reply, header::LINK, &link);
    }
    Ok(reply)
}

pub(super) fn page(asked: &Asked) -> Result<Page, Failure> {
    asked.query.page().ok_or_else(|| {
        let text = "n is not a number";
        Failure::new(StatusCode::BAD_REQUEST, "PAGINATION_NUMBER_INVALID", text)
    })
}

pub(super) async fn referrers(
    registry: &Arc<Registry>,
    name: Name,
    subject: Digest,
    asked: &Asked,
) -> Answer {
    let page = page(asked)?;
    let count = page.count.clamp(1, REFERRERS);
    let kinds: Vec<String> = asked
        .query
        .all("artifactType")
        .filter(|t| !t.is_empty())
        .map(str::to_owned)
        .collect();
    let (store, of) = (Arc::clone(&registry.store), kinds.clone());
    let mut found = blocking(move || {
        let kinds: Vec<&str> = of.iter().map(String::as_str).collect();
        store.referrers(&name, &subject, &kinds, (&page.after, count + 1))
    })
    .await?;
    let more = found.len() > count;
    found.truncate(count);
    let last = found.last().filter(|_| more).map(|d| d.digest.to_string());
    let mut reply = json(StatusCode::OK, Index::new(found).to_bytes())?;
    put_header(&mut reply, header::CONTENT_TYPE, media_type::OCI_INDEX);
    if !kinds.is_empty() {
        put_header(&mut reply, OCI_FILTERS, "artifactType");
    }
    if let Some(last) = last {
        let filters: Vec<(&str, &str)> =
            kinds.iter().map(|k| ("artifactType", k.as_str())).collect();
        let link = query::next(&asked.path, count, &last, &filters);
        put_header(&mut reply, header::LINK, &link);
    }
    Ok(reply)
}
