//! Images from one engine to another over ssh, without a registry between: `push ssh://HOST/NAME`, `pull ssh://HOST/NAME`.
//!
//! The client speaks to both: it asks one for the image's parts, the other for what it has of the layers, and passes on what
//! is missing. A layer that was cut off goes on where it ended. The other engine must be ours; Docker's has no such doors.

use std::time::{Duration, Instant};

use api::client::{Client, Error, Request, UploadBody, check_ssh};
use api::types::progress::{Progress, ProgressDetail};
use api::types::travel::{Arrived, Layer, LayerStatus, Parts};
use oci::Reference;
use tokio::sync::mpsc;

use crate::context::Context;
use crate::failure::{Exit, Failure, Outcome};
use crate::print::print;
use crate::progress::{Place, Teller};

/// Pieces on their way from one engine to the other.
const AHEAD: usize = 8;
/// How often a layer is begun again when the connection breaks.
const ATTEMPTS: usize = 3;
/// How often a position is shown.
const PACE: Duration = Duration::from_millis(100);

/// An image at another engine.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Elsewhere {
    /// `ssh://user@host:22`
    host: String,
    name: Reference,
}

/// Which way it goes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Push,
    Pull,
}

/// What a command was told besides the image.
pub(crate) struct Asked<'a> {
    pub(crate) way: Way,
    pub(crate) platform: Option<&'a str>,
    pub(crate) quiet: bool,
}

/// Whether a name means an image at another engine.
pub(crate) fn is_elsewhere(name: &str) -> bool {
    name.starts_with("ssh://")
}

impl Elsewhere {
    /// `ssh://[user@]host[:port]/NAME[:TAG]`.
    fn parse(text: &str) -> Result<Self, Failure> {
        let rest = text.strip_prefix("ssh://").unwrap_or(text);
        // Before anything is said of it: a password is not to be repeated.
        let authority = rest.split('/').next().unwrap_or_default();
        check_ssh(authority).map_err(|why| Failure::new(format!("invalid SSH URL: {why}")))?;
        let invalid = |why: &str| {
            Failure::new(format!(
                "invalid address {text:?}: {why}; wanted is ssh://[user@]host[:port]/NAME[:TAG]"
            ))
        };
        let (host, name) = rest
            .split_once('/')
            .ok_or_else(|| invalid("it names no image"))?;
        let name: Reference = name
            .parse()
            .map_err(|e: oci::InvalidReference| invalid(&e.to_string()))?;
        if name.digest().is_some() {
            return Err(invalid("an image travels under a tag, not under a digest"));
        }
        Ok(Self {
            host: format!("ssh://{host}"),
            name: name.or_latest(),
        })
    }
}

/// Takes an image there or fetches it from there.
pub(crate) fn travel(context: &Context, address: &str, asked: &Asked<'_>) -> Outcome {
    let place = Elsewhere::parse(address)?;
    context.talk(async |here| {
        let there = Client::new(&place.host)?;
        let (from, to) = match asked.way {
            Way::Push => (here, &there),
            Way::Pull => (&there, here),
        };
        let mut journey = Journey {
            from,
            to,
            teller: Teller::new(Place::Stdout.unless(asked.quiet)),
        };
        journey.make(&place, asked).await
    })
}

struct Journey<'a> {
    from: &'a Client,
    to: &'a Client,
    teller: Teller,
}

impl Journey<'_> {
    async fn make(&mut self, place: &Elsewhere, asked: &Asked<'_>) -> Outcome {
        let name = place.name.familiar();
        let words = match asked.way {
            Way::Push => format!("Pushing {name} to {}", place.host),
            Way::Pull => format!("Pulling {name} from {}", place.host),
        };
        self.say("", &words)?;
        let path = format!("/tare/images/{}", Request::escape(&place.name.canonical()));
        let request = Request::get(path).query_if("platform", asked.platform);
        let mut parts: Parts = self
            .from
            .json(request)
            .await
            .map_err(|e| doors(e, self.from))?;
        if asked.way == Way::Pull {
            // What moves here is the name that was asked for, whatever the other engine says.
            parts.name = place.name.canonical();
        }
        for (number, layer) in parts.layers.iter().enumerate() {
            // A layer may come twice in an image.
            if !parts.layers[..number].contains(layer) {
                self.layer(layer).await?;
            }
        }
        let arrived: Arrived = self
            .to
            .json(Request::post("/tare/images").body(&parts))
            .await?;
        if asked.quiet {
            print(&format!("{}\n", parts.name))?;
            return Ok(Exit::OK);
        }
        let status = match (arrived.moved, asked.way) {
            (true, Way::Push) => format!("Status: {name} is {} there now", short(&arrived.id)),
            (true, Way::Pull) => format!("Status: {name} is {} here now", short(&arrived.id)),
            (false, _) => format!("Status: {name} is up to date"),
        };
        self.say("", &status)?;
        Ok(Exit::OK)
    }

    fn say(&mut self, id: &str, status: &str) -> Result<(), Failure> {
        let detail = (!id.is_empty()).then(ProgressDetail::default);
        let message = Progress {
            id: id.to_owned(),
            status: status.to_owned(),
            progress_detail: detail,
            ..Progress::default()
        };
        Ok(self.teller.tell(&message)?)
    }

    /// Has one layer there.
    async fn layer(&mut self, layer: &Layer) -> Result<(), Failure> {
        let digest = layer.diff_id.as_ref().map(ToString::to_string);
        let digest =
            digest.ok_or_else(|| Failure::new("the engine names a layer without a digest"))?;
        let id = short(&digest).to_owned();
        let mut tried = 0;
        loop {
            let request = Request::get(format!("/tare/layers/{digest}/status"));
            let status: LayerStatus = self.to.json(request).await.map_err(|e| doors(e, self.to))?;
            if status.present {
                let word = if tried == 0 {
                    "Layer already exists"
                } else {
                    "Done"
                };
                return self.say(&id, word);
            }
            tried += 1;
            match self.pass(&id, &digest, layer.size, status.have).await {
                Ok(status) if status.present => return self.say(&id, "Done"),
                // It has less than it said: an older part was thrown away meanwhile.
                Ok(_) if tried < ATTEMPTS => {}
                Ok(_) => {
                    return Err(Failure::new(format!(
                        "layer {digest} never came to its end"
                    )));
                }
                Err(failure) if tried < ATTEMPTS && failure.is_passing => {}
                Err(failure) => return Err(failure.failure),
            }
        }
    }

    /// Passes the rest of a layer on.
    async fn pass(
        &mut self,
        id: &str,
        digest: &str,
        size: u64,
        from: u64,
    ) -> Result<LayerStatus, Cut> {
        let path = format!("/tare/layers/{digest}");
        let source = Request::get(&path).query("from", from.to_string());
        let mut body = self.from.send(source).await?.body;
        let (pieces, receiver) = mpsc::channel(AHEAD);
        let target = Request::put(&path)
            .query("size", size.to_string())
            .query("from", from.to_string())
            .upload(UploadBody::from_channel(receiver));
        let teller = &mut self.teller;
        let sending = async move {
            let (mut at, mut shown) = (from, None::<Instant>);
            loop {
                match body.next().await {
                    Ok(Some(piece)) => {
                        at += piece.len() as u64;
                        if pieces.send(Ok(piece)).await.is_err() {
                            return Ok(());
                        }
                    }
                    Ok(None) => return Ok(()),
                    Err(error) => {
                        let cut = std::io::Error::other(error.to_string());
                        let _gone = pieces.send(Err(cut)).await;
                        return Err(error);
                    }
                }
                if shown.is_none_or(|last| last.elapsed() >= PACE) {
                    shown = Some(Instant::now());
                    // A terminal that is gone ends the client in its own way.
                    let _gone = teller.tell(&position(id, at, size));
                }
            }
        };
        let (sent, status) = tokio::join!(sending, self.to.json(target));
        sent?;
        Ok(status?)
    }
}

fn position(id: &str, at: u64, size: u64) -> Progress {
    let signed = |n| i64::try_from(n).unwrap_or(i64::MAX);
    Progress {
        id: id.to_owned(),
        status: "Sending".to_owned(),
        progress_detail: Some(ProgressDetail {
            current: signed(at),
            total: signed(size),
            ..ProgressDetail::default()
        }),
        ..Progress::default()
    }
}

/// Why a layer did not get through.
struct Cut {
    failure: Failure,
    /// The connection broke: another one may do.
    is_passing: bool,
}

impl From<Error> for Cut {
    fn from(error: Error) -> Self {
        Self {
            is_passing: error.status().is_none_or(|status| status >= 500),
            failure: error.into(),
        }
    }
}

/// An engine without the doors is not ours, or older.
fn doors(error: Error, client: &Client) -> Failure {
    let text = error.to_string();
    if text.contains("page not found") {
        return Failure::new(format!(
            "the engine at {} takes and gives no images without a registry: that is Tare's own",
            client.host()
        ));
    }
    error.into()
}

/// The digest as people read it.
fn short(digest: &str) -> &str {
    let hex = digest.split_once(':').map_or(digest, |(_, hex)| hex);
    hex.get(..12).unwrap_or(hex)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_name_an_engine_and_an_image() {
        let place = Elsewhere::parse("ssh://joe@host:22/team/app:1").expect("an address");
        assert_eq!(place.host, "ssh://joe@host:22");
        assert_eq!(place.name.canonical(), "docker.io/team/app:1");
        let place = Elsewhere::parse("ssh://host/reg:5000/app").expect("an address");
        assert_eq!(place.name.canonical(), "reg:5000/app:latest");
        let digest = format!("ssh://host/a@sha256:{}", "0".repeat(64));
        let error = Elsewhere::parse("ssh://joe:secret@host/a").expect_err("a password");
        assert!(
            error
                .message
                .contains("plain-text password is not supported")
        );
        assert!(!error.message.contains("secret"), "{error}");
        for bad in ["ssh://host", "ssh://host/", "ssh://host/UPPER", &digest] {
            let error = Elsewhere::parse(bad).expect_err(bad);
            assert!(error.message.contains("ssh://[user@]host"), "{error}");
        }
    }
}
