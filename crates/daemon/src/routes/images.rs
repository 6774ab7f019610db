//! `/images`. The store's calls block, so each runs on a thread for that.

use std::collections::HashMap;

use api::types::progress::{Progress, ProgressDetail};
use api::types::prune::ImagesPruned;
use bytes::Bytes;
use engine::{Engine, Event, GiveBack, Subject};
use http::StatusCode;
use image::{
    Image, ImageId, LabelFilter, ListQuery, Listed, LoadEvent, PruneQuery, RemoveOptions, Removed,
    Store, User,
};
use jiff::Timestamp;
use oci::{Platform, Reference};

use super::files::{received, tar};
use super::{Call, Reply};
use crate::convert::image as wire;
use crate::convert::{compat, time};
use crate::http::body;
use crate::http::failure::{Failure, chain};
use crate::http::filters::Filters;

/// Runs a call of the store.
pub(super) async fn on_store<T: Send + 'static>(
    engine: &Engine,
    work: impl FnOnce(Store) -> image::Result<T> + Send + 'static,
) -> Result<T, Failure> {
    let store = engine.images().clone();
    Ok(engine::blocking(move || work(store)).await?)
}

pub(super) async fn list(call: Call) -> Reply {
    let filters = Filters::from_query(&call.query)?;
    filters.only(&["before", "dangling", "label", "reference", "since", "until"])?;
    refuse(&call, &["identity"])?;
    let query = ListQuery {
        all: call.query.on("all"),
        dangling: filters.switch("dangling")?,
        references: filters.get("reference").to_vec(),
        labels: labels(&filters),
        before: filters.get("before").to_vec(),
        since: filters.get("since").to_vec(),
        until: until(&filters)?,
    };
    let with_shared = call.query.on("shared-size");
    let (images, shared) = on_store(&call.app.engine, move |store| {
        let shared = if with_shared {
            store.disk_usage()?.shared
        } else {
            HashMap::new()
        };
        Ok((store.list_by_name(&query)?, shared))
    })
    .await?;
    // Manifests of names for several platforms, which `images --tree` shows below these; nothing else has any to show.
    let with_manifests = call.query.on("manifests") && call.version.at_least(47);
    let users = |image: &Image| call.app.engine.users_of_image(&image.id);
    let entry = |listed: &Listed| {
        let sum = |of: &dyn Fn(&Image) -> u64| {
            let total = listed.platforms.iter().map(of).fold(0, u64::saturating_add);
            i64::try_from(total).unwrap_or(i64::MAX)
        };
        let shared = match with_shared {
            true => sum(&|image| shared.get(&image.id).copied().unwrap_or_default()),
            false => -1,
        };
        // The list counts containers from 1.51 on.
        let containers = match call.version.at_least(51) {
            true => sum(&|image| users(image).len() as u64),
            false => -1,
        };
        let mut entry = wire::summary(&listed.image, containers, shared);
        entry.size = sum(&|image| image.size);
        if with_manifests && listed.platforms.len() > 1 {
            let manifest = |image| wire::manifest(image, users(image));
            entry.manifests = Some(listed.platforms.iter().map(manifest).collect());
        }
        compat::image_summary(call.version, &mut entry);
        entry
    };
    body::json(&images.iter().map(entry).collect::<Vec<_>>())
}

/// Refuses parameters that ask for what is not here.
fn refuse(call: &Call, names: &[&str]) -> Result<(), Failure> {
    match names.iter().find(|name| call.query.on(name)) {
        Some(name) => Err(Failure::not_built(&format!("the parameter {name}"))),
        None => Ok(()),
    }
}

pub(super) fn labels(filters: &Filters) -> Vec<LabelFilter> {
    let read = |text: &String, negated| {
        let (key, value) = text
            .split_once('=')
            .map_or((text.as_str(), None), |(k, v)| (k, Some(v.to_owned())));
        LabelFilter {
            key: key.to_owned(),
            value,
            negated,
        }
    };
    let plain = filters.get("label").iter().map(|text| read(text, false));
    plain
        .chain(filters.get("label!").iter().map(|text| read(text, true)))
        .collect()
}

/// `until`: a time, or a duration before now.
fn until(filters: &Filters) -> Result<Option<Timestamp>, Failure> {
    match filters.get("until") {
        [] => Ok(None),
        [one] => time::before(one, Timestamp::now()).map(Some),
        _ => Err(Failure::bad_request("more than one until filter specified")),
    }
}

pub(super) async fn inspect(call: Call) -> Reply {
    refuse(&call, &["manifests"])?;
    let (name, platform) = (call.name().to_owned(), platform(&call)?);
    let image = on_store(&call.app.engine, move |store| {
        store.provided(&name, platform.as_ref())
    })
    .await?;
    let mut document = wire::inspect(&image);
    compat::image(call.version, &mut document);
    body::json(&document)
}

/// `platform`: `linux/amd64`, or the same as a document.
pub(super) fn platform(call: &Call) -> Result<Option<Platform>, Failure> {
    match call.query.text("platform") {
        "" => Ok(None),
        text => read_platform(text).map(Some),
    }
}

/// Where several platforms may be given.
fn platforms(call: &Call, key: &str) -> Result<Vec<Platform>, Failure> {
    let given = call.query.all(key).into_iter();
    given
        .filter(|text| !text.is_empty())
        .map(read_platform)
        .collect()
}

fn read_platform(text: &str) -> Result<Platform, Failure> {
    if !text.starts_with('{') {
        let parsed = text.parse();
        return parsed.map_err(|e: oci::InvalidPlatform| Failure::bad_request(e.to_string()));
    }
    let invalid =
        |e: serde_json::Error| Failure::bad_request(format!("failed to parse platform: {e}"));
    let document: serde_json::Value = serde_json::from_str(text).map_err(invalid)?;
    let is_given = |key: &str| document[key].as_str() != Some("") && !document[key].is_null();
    if !is_given("os") || !is_given("architecture") {
        return Err(Failure::bad_request(
            "both OS and Architecture must be provided",
        ));
    }
    serde_json::from_value(document).map_err(invalid)
}

pub(super) async fn history(call: Call) -> Reply {
    let (name, platform) = (call.name().to_owned(), platform(&call)?);
    let history = on_store(&call.app.engine, move |store| {
        let image = store.provided(&name, platform.as_ref())?;
        store.history(image.id.as_str())
    })
    .await?;
    body::json(&history.iter().map(wire::history).collect::<Vec<_>>())
}

pub(super) async fn tag(call: Call) -> Reply {
    let target = reference(call.query.text("repo"), call.query.text("tag"))?
        .ok_or_else(|| Failure::bad_request("repository name must have at least one component"))?;
    let (source, to) = (call.name().to_owned(), target.clone());
    let id = on_store(&call.app.engine, move |store| store.tag(&source, &to)).await?;
    publish(&call.app.engine, "tag", &id, &target.familiar());
    Ok(body::empty(StatusCode::CREATED))
}

/// `repo` and `tag` together; no tag is `latest`.
pub(super) fn reference(repo: &str, tag: &str) -> Result<Option<Reference>, Failure> {
    if repo.is_empty() {
        return Ok(None);
    }
    let name = Reference::parse(repo)?;
    if name.digest().is_some() {
        return Err(Failure::bad_request("cannot import digest reference"));
    }
    if name.familiar_name() == "sha256" {
        return Err(Failure::bad_request(
            "refusing to create an ambiguous tag using digest algorithm as name",
        ));
    }
    Ok(Some(if tag.is_empty() {
        name.or_latest()
    } else {
        name.with_tag(tag)?
    }))
}

pub(super) async fn remove(call: Call) -> Reply {
    let platforms = platforms(&call, "platforms")?;
    let options = RemoveOptions {
        force: call.query.on("force"),
        no_prune: call.query.on("noprune"),
    };
    let (name, engine) = (call.name().to_owned(), call.app.engine.clone());
    let removed = on_store(&call.app.engine, move |store| {
        let users = |id: &ImageId| users(&engine, id);
        match platforms.is_empty() {
            true => store.remove(&name, options, &users),
            false => store.remove_platforms(&name, &platforms, options, &users),
        }
    })
    .await?;
    publish_removed(&call.app.engine, &removed);
    body::json(&wire::removed(removed))
}

fn users(engine: &Engine, id: &ImageId) -> Vec<User> {
    engine
        .users_of_image(id)
        .into_iter()
        .map(|(container, running)| User { container, running })
        .collect()
}

pub(super) async fn prune(call: Call) -> Reply {
    let filters = Filters::from_query(&call.query)?;
    filters.only(&["dangling", "label", "label!", "until"])?;
    let query = PruneQuery {
        dangling_only: filters.switch("dangling")?.unwrap_or(true),
        until: until(&filters)?,
        labels: labels(&filters),
    };
    let engine = call.app.engine.clone();
    let pruned = on_store(&call.app.engine, move |store| {
        store.prune(&query, &|id| users(&engine, id))
    })
    .await?;
    publish_removed(&call.app.engine, &pruned.removed);
    let reclaimed = [("reclaimed".to_owned(), pruned.reclaimed.to_string())].into();
    call.app
        .engine
        .publish(event("prune", String::new(), reclaimed));
    let deleted = Some(wire::removed(pruned.removed)).filter(|lines| !lines.is_empty());
    body::json(&ImagesPruned {
        images_deleted: deleted,
        space_reclaimed: pruned.reclaimed,
    })
}

pub(super) async fn save(call: Call) -> Reply {
    let names = vec![call.name().to_owned()];
    save_names(call, names).await
}

pub(super) async fn save_many(call: Call) -> Reply {
    let names = call
        .query
        .all("names")
        .into_iter()
        .map(str::to_owned)
        .collect();
    save_names(call, names).await
}

/// Resolves every name before the first byte, so that a wrong one is a 404 and not half an archive.
async fn save_names(call: Call, names: Vec<String>) -> Reply {
    let platforms = platforms(&call, "platform")?;
    let (wanted, of) = (names.clone(), platforms.clone());
    let images = on_store(&call.app.engine, move |store| {
        let names: Vec<&str> = wanted.iter().map(String::as_str).collect();
        store.saved(&names, &of)
    })
    .await?;
    for id in &images {
        publish(&call.app.engine, "save", id, id.as_str());
    }
    let store = call.app.engine.images().clone();
    let (mut sender, receiver) = engine::pipe(8);
    tokio::task::spawn_blocking(move || {
        let _memory = GiveBack::default();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let saved = store
            .save_for(&names, &platforms, &mut sender)
            .map_err(|e| std::io::Error::other(chain(&e)));
        if let Err(error) = saved.and_then(|()| std::io::Write::flush(&mut sender)) {
            sender.fail(error);
        }
    });
    Ok(tar(receiver))
}

/// Says what happens line by line; an error after the first line can only be said in one more.
pub(super) async fn load(call: Call) -> Reply {
    let platforms = platforms(&call, "platform")?;
    let quiet = call.query.on_or("quiet", false);
    let archive = received(call.body);
    let engine = call.app.engine.clone();
    let (sender, lines) = body::stream();
    tokio::task::spawn_blocking(move || {
        let _memory = GiveBack::default();
        let say = |progress: &Progress| drop(sender.blocking_send(Ok(line(progress))));
        let mut on = |event: LoadEvent| match event {
            LoadEvent::Loaded(loaded) => {
                publish(&engine, "load", &loaded.id, loaded.id.as_str());
                say(&Progress::stream(format!("{loaded}\n")));
            }
            LoadEvent::Replaced { name, old } => say(&Progress::stream(format!(
                "The image {name} already exists, renaming the old one with ID {old} to empty string\n"
            ))),
            LoadEvent::Layer { id, done, total } if !quiet => say(&layer(id, done, total)),
            LoadEvent::Layer { .. } => {}
        };
        if let Err(error) = engine.images().load(archive, &platforms, &mut on) {
            say(&Progress::failure(chain(&error)));
        }
    });
    Ok(body::with(StatusCode::OK, body::JSON, lines))
}

fn layer(id: String, done: u64, total: u64) -> Progress {
    let signed = |n| i64::try_from(n).unwrap_or(i64::MAX);
    Progress {
        status: "Loading layer".to_owned(),
        progress_detail: Some(ProgressDetail {
            current: signed(done),
            total: signed(total),
            ..ProgressDetail::default()
        }),
        id,
        ..Default::default()
    }
}

/// A document and the line end that separates it from the next.
pub(super) fn line(progress: &Progress) -> Bytes {
    let mut bytes = serde_json::to_vec(progress).unwrap_or_default();
    bytes.extend_from_slice(b"\r\n");
    bytes.into()
}

/// Pulls (`fromImage`), or imports a root file system (`fromSrc`).
pub(super) async fn create(call: Call) -> Reply {
    match call.query.text("fromImage") {
        "" => super::import::import(call).await,
        _ => super::registries::pull(call).await,
    }
}

pub(crate) fn publish_removed(engine: &Engine, removed: &[Removed]) {
    for line in removed {
        match line {
            Removed::Untagged(_, id) => publish(engine, "untag", id, id.as_str()),
            Removed::Deleted(id) => publish(engine, "delete", id, id.as_str()),
            // A layer is no image; nobody is told.
            Removed::DeletedLayer(_) => {}
        }
    }
}

pub(super) fn publish(engine: &Engine, action: &str, id: &ImageId, name: &str) {
    let attributes = [("name".to_owned(), name.to_owned())].into();
    engine.publish(event(action, id.to_string(), attributes));
}

fn event(
    action: &str,
    actor: String,
    attributes: std::collections::BTreeMap<String, String>,
) -> Event {
    Event {
        subject: Subject::Image,
        action: action.to_owned(),
        actor,
        attributes,
        time: Timestamp::now(),
    }
}
