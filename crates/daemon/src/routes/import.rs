//! `POST /images/create?fromSrc=`: an image of one layer from a root file system's tar, which comes with the request (`-`) or
//! from an address.

use api::types::progress::{Progress, ProgressDetail};
use engine::{ByteSender, Download};
use http::StatusCode;
use image::{ImageId, ImportOptions};
use oci::Reference;

use super::files::received;
use super::images::{line, on_store, platform, publish, reference};
use super::{Call, Reply};
use crate::convert::progress_bar;
use crate::http::body::{self, Sender};
use crate::http::failure::{Failure, chain};

/// How often a download says how far it is, in bytes.
const STEP: u64 = 512 << 10;
/// Pieces that wait for the disk; behind them the network waits.
const AHEAD: usize = 8;

pub(super) async fn import(call: Call) -> Reply {
    match call.query.text("fromSrc") {
        "-" => from_body(call).await,
        "" => Err(Failure::bad_request(
            "one of fromImage and fromSrc must be given",
        )),
        _ => from_address(call).await,
    }
}

fn options(call: &Call, source: &str) -> Result<ImportOptions, Failure> {
    let message = match call.query.text("message") {
        "" => format!("Imported from {source}"),
        text => text.to_owned(),
    };
    let changes = call.query.all("changes").into_iter();
    Ok(ImportOptions {
        reference: reference(call.query.text("repo"), call.query.text("tag"))?,
        message,
        changes: changes.map(str::to_owned).collect(),
        platform: platform(call)?,
    })
}

async fn from_body(call: Call) -> Reply {
    let options = options(&call, "-")?;
    let (engine, archive) = (call.app.engine.clone(), received(call.body));
    let name = options.reference.clone();
    let id = on_store(&engine, move |store| store.import(archive, &options)).await?;
    tell(&engine, name.as_ref(), &id);
    Ok(body::with(
        StatusCode::OK,
        body::JSON,
        body::full(line(&Progress::status(id.as_str()))),
    ))
}

fn tell(engine: &engine::Engine, name: Option<&Reference>, id: &ImageId) {
    if let Some(name) = name {
        publish(engine, "tag", id, &name.familiar());
    }
    publish(engine, "import", id, id.as_str());
}

/// What cannot be had is a status of its own; from then on the status is 200, and an error is a line among the others.
async fn from_address(call: Call) -> Reply {
    let address = match call.query.text("fromSrc") {
        text if text.contains("://") => text.to_owned(),
        text => format!("http://{text}"),
    };
    // What the server wants to know of the user is not for the image's history.
    let public = engine::without_login(&address).into_owned();
    let options = options(&call, &public)?;
    let engine = call.app.engine.clone();
    let download = engine.download(&address).await?;
    let fetch = Fetch {
        done: 0,
        total: download.size(),
        bar: !call.version.at_least(52),
    };
    Ok(body::produced(body::JSON, move |sender| async move {
        let downloading = Progress::status(format!("Downloading from {public}"));
        let _gone = sender.send(Ok(line(&downloading))).await;
        let (name, store) = (options.reference.clone(), engine.images().clone());
        let (pieces, archive) = engine::pipe(AHEAD);
        let importing = engine::blocking(move || store.import(archive, &options));
        // On its own, so that a client who goes away ends it in words, and not as if all had come.
        let feeding = tokio::spawn(fetch.feed(download, pieces, sender.clone()));
        let imported = importing.await;
        feeding.abort();
        let last = match imported {
            Ok(id) => {
                tell(&engine, name.as_ref(), &id);
                Progress::status(id.as_str())
            }
            Err(error) => Progress::failure(chain(&error)),
        };
        let _gone = sender.send(Ok(line(&last))).await;
    }))
}

/// How far a download is.
struct Fetch {
    done: u64,
    total: Option<u64>,
    /// The client is one that shows the bar that it is sent.
    bar: bool,
}

impl Fetch {
    async fn feed(mut self, mut download: Download, pieces: ByteSender, sender: Sender) {
        let mut told = 0;
        loop {
            let piece = match download.next().await {
                Ok(None) => return,
                Ok(Some(piece)) => Ok(piece),
                Err(error) => Err(std::io::Error::other(error)),
            };
            let failed = piece.is_err();
            self.done += piece.as_ref().map_or(0, |piece| piece.len() as u64);
            if !pieces.send(piece).await || failed {
                return;
            }
            if self.done - told >= STEP || self.total == Some(self.done) {
                told = self.done;
                if sender.send(Ok(line(&self.progress()))).await.is_err() {
                    let gone = std::io::Error::other("the client has gone away");
                    pieces.send(Err(gone)).await;
                    return;
                }
            }
        }
    }

    fn progress(&self) -> Progress {
        let signed = |n| i64::try_from(n).unwrap_or(i64::MAX);
        let total = self.total.unwrap_or(0);
        Progress {
            status: "Importing".to_owned(),
            progress_detail: Some(ProgressDetail {
                current: signed(self.done),
                total: signed(total),
                ..ProgressDetail::default()
            }),
            progress: match self.bar {
                true => progress_bar::bar(self.done, total),
                false => String::new(),
            },
            ..Progress::default()
        }
    }
}
