//! The web page, and metrics.

use std::sync::Arc;

use http::{StatusCode, header};

use super::manifests::page;
use super::{Answer, Asked, Content, blocking, put_header, reply};
use crate::server::Registry;
use crate::server::html;
use crate::server::metrics::Levels;
use crate::server::name::{Name, Reach};
use crate::server::query::Page;

/// Rows of one page.
const ROWS: usize = 200;

pub(super) async fn home(registry: &Arc<Registry>, asked: &Asked) -> Answer {
    let wanted = rows(asked)?;
    let store = Arc::clone(&registry.store);
    let (rows, more) = blocking(move || store.summaries(&wanted)).await?;
    let next = rows.last().filter(|_| more).map(|row| row.name.as_str());
    html_reply(html::home(&rows, next, registry.store.totals()))
}

pub(super) async fn repository(registry: &Arc<Registry>, name: Name, asked: &Asked) -> Answer {
    let wanted = rows(asked)?;
    let (store, of) = (Arc::clone(&registry.store), name.clone());
    let (rows, more) = blocking(move || store.tag_summaries(&of, &wanted)).await?;
    let next = rows.last().filter(|_| more).map(|row| row.tag.as_str());
    html_reply(html::repository(name.as_str(), &rows, next))
}

pub(super) async fn manifest(registry: &Arc<Registry>, name: Name, reach: Reach) -> Answer {
    let (store, of, wanted) = (Arc::clone(&registry.store), name.clone(), reach.clone());
    let described = blocking(move || store.describe(&of, &wanted)).await?;
    html_reply(html::manifest(
        name.as_str(),
        &reach.to_string(),
        &described,
    ))
}

pub(super) async fn metrics(registry: &Arc<Registry>) -> Answer {
    let store = Arc::clone(&registry.store);
    let repositories = blocking(move || store.repository_count()).await?;
    let text = registry.metrics.text(Levels {
        repositories,
        blobs: registry.store.totals(),
        uploads: registry.store.uploads().totals(),
    });
    let mut reply = reply(StatusCode::OK);
    put_header(
        &mut reply,
        header::CONTENT_TYPE,
        "text/plain; version=0.0.4",
    );
    *reply.body_mut() = Content::of(text);
    Ok(reply)
}

fn rows(asked: &Asked) -> Result<Page, crate::server::failure::Failure> {
    let page = page(asked)?;
    Ok(Page {
        count: page.count.min(ROWS),
        ..page
    })
}

fn html_reply(text: String) -> Answer {
    let mut reply = reply(StatusCode::OK);
    put_header(&mut reply, header::CONTENT_TYPE, "text/html; charset=utf-8");
    let policy = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'";
    put_header(&mut reply, header::CONTENT_SECURITY_POLICY, policy);
    *reply.body_mut() = Content::of(text);
    Ok(reply)
}
