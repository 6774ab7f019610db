//! `push`: an image to its registry.

use api::client::Request;
use api::types::progress::Progress;
use serde::Deserialize;

use crate::command::{Args, Command, Flag, Order};
use crate::context::Context;
use crate::failure::{Exit, Failure, Outcome};
use crate::flags::Matches;
use crate::note::{self, Span};
use crate::options::platform;
use crate::print::print;
use crate::progress::{self, Place};
use crate::transfer::{self, Which, wanted};
use crate::travel::{self, Asked, Way};
use crate::trust;

/// The row of the table.
pub(super) static COMMAND: Command = Command {
    paths: &["image push", "push"],
    about: "Send an image to a registry, or to another engine",
    usage: "[OPTIONS] NAME[:TAG]|ssh://[USER@]HOST[:PORT]/NAME[:TAG]",
    args: Args::Exactly(1),
    order: Order::Anywhere,
    flags: &[&[
        Flag::bool("all-tags", Some('a'), "Every tag of the repository"),
        trust::FLAG,
        platform::flag(
            "Send only this platform of an image that has several, as os[/arch[/variant]], without its index",
        ),
        Flag::bool("quiet", Some('q'), "Tell only the image's name in the end"),
    ]],
    run,
};

fn run(context: &Context, matches: &Matches) -> Outcome {
    trust::check(matches, None)?;
    let quiet = matches.flag("quiet");
    let platform = only_platform(matches)?;
    let which = match matches.flag("all-tags") {
        true => Which::All,
        false => Which::One,
    };
    let address = &matches.args[0];
    if travel::is_elsewhere(address) {
        if which == Which::All {
            return Err(Failure::new(
                "not built yet: --all-tags to another engine; push one tag at a time",
            ));
        }
        let asked = Asked {
            way: Way::Push,
            platform: platform.as_deref(),
            quiet,
        };
        return travel::travel(context, address, &asked);
    }
    let image = wanted(address, which, quiet)?;
    if image.digest().is_some() {
        return Err(Failure::new("cannot push a digest reference"));
    }
    let name = image.familiar_name();
    let request = || {
        Request::post(format!("/images/{}/push", Request::escape(&name)))
            .query("tag", image.tag().unwrap_or_default())
            .query_if("platform", platform.as_deref())
    };
    let mut notes = Vec::new();
    let outcome = context.talk(async |client| {
        let messages = transfer::send(context, client, &request, &image, "push").await?;
        let place = Place::Stdout.unless(quiet);
        let mut look = |message: &Progress| notes.extend(message.aux.as_ref().and_then(note_of));
        progress::show_with(messages, place, &mut look).await
    });
    for note in notes {
        let lines: Vec<[Span<'_>; 1]> = note.lines().map(|line| [Span::Plain(line)]).collect();
        note::on_stdout(&lines.iter().map(<[_; 1]>::as_slice).collect::<Vec<_>>())?;
    }
    outcome?;
    if quiet {
        return print(&format!("{}\n", image.canonical()));
    }
    Ok(Exit::OK)
}

/// The platform as the daemon reads it, after a word about what that leaves out.
fn only_platform(matches: &Matches) -> Result<Option<String>, Failure> {
    let Some(text) = matches.text("platform").filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let platform = platform::parse(text)
        .map_err(|told| Failure::new(format!("Invalid platform {text}: {told}")))?;
    note::on_stdout(&[
        &[
            Span::Plain("Using "),
            Span::Bold("--platform"),
            Span::Plain(
                " pushes only the specified platform manifest of a multi-platform image index.",
            ),
        ],
        &[Span::Plain(
            "Other components, like attestations, will not be included.",
        )],
        &[
            Span::Plain("To push the complete multi-platform image, remove the "),
            Span::Bold("--platform"),
            Span::Plain(" flag."),
        ],
        &[],
    ])?;
    Ok(Some(platform::json(&platform)))
}

/// What a daemon that keeps whole indexes tells beside its progress.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Pushed {
    manifest_pushed_instead_of_index: bool,
    original_index: Target,
    selected_manifest: Target,
    content_missing: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Target {
    digest: String,
}

fn note_of(result: &serde_json::Value) -> Option<String> {
    let pushed = Pushed::deserialize(result).ok()?;
    if pushed.manifest_pushed_instead_of_index {
        return Some(format!(
            "Not all multiplatform-content is present and only the available single-platform image was pushed\n{} -> {}",
            pushed.original_index.digest, pushed.selected_manifest.digest
        ));
    }
    pushed.content_missing.then(|| {
        "You're trying to push a manifest list/index which \
         references multiple platform specific manifests, but not all of them are available locally \
         or available to the remote repository.\n\n\
         Make sure you have all the referenced content and try again.\n\n\
         You can also push only a single platform specific manifest directly by specifying the platform you want to push with the --platform flag."
            .to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_beside_the_progress_become_notes() {
        let note = |text: &str| note_of(&serde_json::from_str(text).unwrap());
        assert_eq!(note(r#"{"Tag":"1","Digest":"sha256:1","Size":527}"#), None);
        assert_eq!(note("[1]"), None);
        let one = note(
            r#"{"manifestPushedInsteadOfIndex":true,"originalIndex":{"digest":"a"},"selectedManifest":{"digest":"b"}}"#,
        );
        assert!(one.unwrap().ends_with("\na -> b"));
        assert!(note(r#"{"contentMissing":true}"#).is_some());
    }
}
