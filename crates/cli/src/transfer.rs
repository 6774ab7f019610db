//! Pulls, for `pull` and for `run` and `create`.

use api::client::{Client, Error, Messages, Request};
use api::types::progress::Progress;
use api::types::registry::AUTH_HEADER;
use oci::Reference;

use crate::context::Context;
use crate::credentials::{self, prompt};
use crate::failure::Failure;
use crate::print::print;
use crate::progress::{self, Place};
use crate::terminal;

/// Which of a repository's images are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    /// The one that the reference names.
    One,
    /// Every tag.
    All,
}

/// The image or repository that `pull` and `push` were given. A name alone means `:latest`, which is said unless the user
/// wants quiet.
pub(crate) fn wanted(name: &str, which: Which, quiet: bool) -> Result<Reference, Failure> {
    let reference: Reference = name
        .parse()
        .map_err(|error: oci::InvalidReference| Failure::new(error.to_string()))?;
    match which {
        Which::All if !reference.is_name_only() => {
            Err(Failure::new("tag can't be used with --all-tags/-a"))
        }
        Which::One if reference.is_name_only() => {
            if !quiet {
                print("Using default tag: latest\n")?;
            }
            Ok(reference.or_latest())
        }
        _ => Ok(reference),
    }
}

/// How a pull says which name it was in the end.
const ENDS: [&str; 2] = [
    "Status: Downloaded newer image for ",
    "Status: Image is up to date for ",
];

/// Pulls and shows how it goes. Gives the name under which the daemon found the image: where it looks for names without a
/// registry is its own setting.
pub(crate) async fn pull(
    context: &Context,
    client: &Client,
    image: &Reference,
    platform: Option<&str>,
    place: Place,
) -> Result<Reference, Failure> {
    let tag = image.digest().map(oci::Digest::as_str).or(image.tag());
    let platform = platform
        .filter(|platform| !platform.is_empty())
        .map(str::to_lowercase);
    let request = || {
        Request::post("/images/create")
            .query("fromImage", image.familiar_name())
            .query_if("tag", tag)
            .query_if("platform", platform.as_deref())
    };
    let messages = send(context, client, &request, image, "pull").await?;
    let mut found = None;
    let mut look = |message: &Progress| {
        let name = ENDS.iter().find_map(|end| message.status.strip_prefix(end));
        if let Some(name) = name.and_then(|name| Reference::parse(name).ok()) {
            found = Some(name);
        }
    };
    progress::show_with(messages, place, &mut look).await?;
    Ok(found.unwrap_or_else(|| image.clone()))
}

/// Sends a request with the credentials of the image's registry. If the registry wants others, the user is asked.
pub(crate) async fn send(
    context: &Context,
    client: &Client,
    request: &dyn Fn() -> Request,
    image: &Reference,
    command: &str,
) -> Result<Messages<Progress>, Failure> {
    let with = |header: &str| request().header(AUTH_HEADER, header);
    let first = with(&credentials::header(context, image));
    match client.messages(first).await {
        Err(error) if is_unauthorized(&error) && terminal::stdin_is_terminal() => {
            print(&format!("\nLogin prior to {command}:\n"))?;
            let registry = credentials::registry_of(image);
            let auth = prompt::credentials(prompt::Known::default(), registry)?;
            Ok(client.messages(with(&auth.to_header())).await?)
        }
        other => Ok(other?),
    }
}

fn is_unauthorized(error: &Error) -> bool {
    error.status() == Some(401)
}
