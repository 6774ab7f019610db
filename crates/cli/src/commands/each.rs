//! The same request for several containers: all at once, told in the order they were named.

use api::client::{Client, Request};
use futures_util::StreamExt as _;
use futures_util::stream;

use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::print::print;

/// Requests that run at the same time.
const AT_ONCE: usize = 50;

/// `/containers/NAME/ACTION`; an empty name is refused here, since its path would be another endpoint's.
pub(super) fn path(name: &str, action: &str) -> Result<String, Failure> {
    if name.trim().is_empty() {
        return Err(Failure::new("invalid container name or ID: value is empty"));
    }
    Ok(format!("/containers/{}/{action}", Request::escape(name)))
}

/// Does `work` for each name and prints the names for which it went well.
pub(super) fn each(
    context: &Context,
    names: &[String],
    work: &impl AsyncFn(&Client, &str) -> Result<(), Failure>,
) -> Outcome {
    each_forgiving(context, names, false, work)
}

/// The same; when `forgiving`, a container that is not there is told but is no failure (`rm -f`).
pub(super) fn each_forgiving(
    context: &Context,
    names: &[String],
    forgiving: bool,
    work: &impl AsyncFn(&Client, &str) -> Result<(), Failure>,
) -> Outcome {
    context.talk(async |client| {
        let mut done = stream::iter(names)
            .map(|name| async move { (name, work(client, name).await) })
            .buffered(AT_ONCE);
        let mut failures = Vec::new();
        while let Some((name, outcome)) = done.next().await {
            match outcome {
                Ok(()) => drop(print(&format!("{name}\n"))?),
                Err(failure) if forgiving && failure.message.contains("No such container") => {
                    eprintln!("{failure}");
                }
                Err(failure) => failures.push(failure),
            }
        }
        Failure::join(failures)
    })
}
