//! Makes a container: what `run` and `create` share.

pub(crate) mod flags;
mod request;

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use api::client::{Client, Error, Request};
use api::types::container::{CreateRequest, CreateResponse};
use oci::{AnyReference, Reference};

use crate::context::Context;
use crate::failure::{Failure, errno_text};
use crate::flags::Matches;
use crate::options::platform;
use crate::print::warn;
use crate::progress::Place;
use crate::signals;
use crate::transfer;
use crate::trust;

/// Whether an image that is missing is pulled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pull {
    Always,
    Missing,
    Never,
}

impl FromStr for Pull {
    type Err = Failure;

    fn from_str(text: &str) -> Result<Pull, Failure> {
        match text {
            "always" => Ok(Pull::Always),
            "missing" | "" => Ok(Pull::Missing),
            "never" => Ok(Pull::Never),
            _ => Err(Failure::new(format!(
                "invalid pull option: '{text}': must be one of \"always\", \"missing\" or \"never\""
            ))),
        }
    }
}

/// A container that is to be made, all read and checked.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The document for the daemon.
    pub(crate) request: CreateRequest,
    name: Option<String>,
    platform: Option<String>,
    pull: Pull,
    quiet: bool,
}

impl Plan {
    /// Reads flags and arguments; touches no more than the files they name.
    pub(crate) fn read(context: &Context, matches: &Matches) -> Result<Plan, Failure> {
        let pull = matches.text_or_empty("pull").parse()?;
        let mut request = request::read(matches)?;
        if let Ok(AnyReference::Named(image)) = AnyReference::parse(&request.config.image) {
            trust::check(matches, Some(&image))?;
        }
        let host = context.host()?.address;
        let proxies = context
            .config_file()
            .proxy_variables(&host, matches.list("env"));
        if !proxies.is_empty() {
            request.config.env.get_or_insert_default().extend(proxies);
        }
        Ok(Plan {
            request,
            name: matches.text("name").map(str::to_owned),
            platform: matches.text("platform").map(str::to_owned),
            pull,
            quiet: matches.flag("quiet"),
        })
    }

    /// Makes the container; returns its id.
    pub(crate) async fn create(
        &self,
        context: &Context,
        client: &Client,
    ) -> Result<String, Failure> {
        platform::checked(self.platform.as_deref().unwrap_or_default())?;
        let mut id_file = match self.request.host_config.container_id_file.as_str() {
            "" => None,
            path => Some(IdFile::create(path)?),
        };
        let image = self.image()?;
        if let (Pull::Always, Some(image)) = (self.pull, &image) {
            Box::pin(self.fetch(context, client, image)).await?;
        }
        let created: CreateResponse = match (client.json(self.create_request()).await, &image) {
            (Err(error), Some(image)) if self.pull == Pull::Missing && is_missing_image(&error) => {
                if !self.quiet {
                    let name = image.familiar();
                    warn(&format!("Unable to find image '{name}' locally"));
                }
                Box::pin(self.fetch(context, client, image)).await?;
                client.json(self.create_request()).await?
            }
            (other, _) => other?,
        };
        for warning in &created.warnings {
            warn(&format!("WARNING: {warning}"));
        }
        if let Some(file) = &mut id_file {
            file.write(&created.id)?;
        }
        Ok(created.id)
    }

    fn create_request(&self) -> Request {
        Request::post("/containers/create")
            .body(&self.request)
            .query_if("name", self.name.as_deref())
            .query_if("platform", self.platform.as_deref())
    }

    /// The image to pull; a full id names none. What is no name is not sent.
    fn image(&self) -> Result<Option<Reference>, Failure> {
        match AnyReference::parse(&self.request.config.image) {
            Ok(AnyReference::Named(image)) => Ok(Some(image.or_latest())),
            Ok(AnyReference::Id(_)) => Ok(None),
            Err(error) => Err(Failure::new(error.to_string())),
        }
    }

    /// Pulls. Stdout is the container's, so the progress goes to stderr.
    async fn fetch(
        &self,
        context: &Context,
        client: &Client,
        image: &Reference,
    ) -> Result<(), Failure> {
        let place = Place::Stderr.unless(self.quiet);
        let pull = transfer::pull(context, client, image, self.platform.as_deref(), place);
        // Signals are caught for the container, which is not there yet: until then they end the client, as without it.
        tokio::select! {
            biased;
            pulled = pull => pulled.map(drop),
            number = signals::ending() => Err(Failure::silent(128 + number?)),
        }
    }
}

/// The image, or the platform of it that is wanted. A 404 of create may also be about a container whose namespace or volumes were to be shared.
fn is_missing_image(error: &Error) -> bool {
    let words = ["No such image", "the specified platform ("];
    error.is_not_found() && words.iter().any(|words| error.message().contains(words))
}

/// `--cidfile`: made before the container, removed if there is none in the end.
#[derive(Debug)]
struct IdFile {
    path: PathBuf,
    file: File,
    written: bool,
}

impl IdFile {
    fn create(path: &str) -> Result<IdFile, Failure> {
        match File::create_new(path) {
            Ok(file) => Ok(IdFile {
                path: Path::new(path).to_owned(),
                file,
                written: false,
            }),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                Err(Failure::new(format!(
                    "container ID file found, make sure the other container isn't running or delete {path}"
                )))
            }
            Err(error) => Err(Failure::new(format!(
                "failed to create the container ID file: open {path}: {}",
                errno_text(&error)
            ))),
        }
    }

    fn write(&mut self, id: &str) -> Result<(), Failure> {
        self.file.write_all(id.as_bytes()).map_err(|error| {
            Failure::new(format!(
                "failed to write the container ID to the file: {}",
                errno_text(&error)
            ))
        })?;
        self.written = true;
        Ok(())
    }
}

impl Drop for IdFile {
    fn drop(&mut self) {
        if !self.written {
            // It is ours, made a moment ago, and empty; if it is gone already so much the better.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}
