//! `manifest inspect`: what a name stands for at its registry, or in a list that is being made.

use super::manifest_create::INSECURE;
use crate::command::{Args, Command, Flag, Order};
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::flags::Matches;
use crate::format::json::{Html, Json, indent_with};
use crate::manifests::entry::{Entry, list_document};
use crate::manifests::remote::{Found, Registries};
use crate::manifests::{Store, no_such, reference};
use crate::print::print;

/// The row of the table.
pub(super) static COMMAND: Command = Command {
    paths: &["manifest inspect"],
    about: "Show an image's manifest, or a list of them",
    usage: "[OPTIONS] [MANIFEST_LIST] MANIFEST",
    args: Args::Between(1, 2),
    order: Order::Anywhere,
    flags: &[&[
        INSECURE,
        Flag::bool("verbose", Some('v'), "With layers and platforms"),
    ]],
    run,
};

fn run(context: &Context, matches: &Matches) -> Outcome {
    let verbose = matches.flag("verbose");
    let store = Store::of(context);
    if let [list, image] = matches.args.as_slice() {
        let (list, image) = (reference(list)?, reference(image)?);
        let entry = store.get(&list, &image)?.ok_or_else(|| no_such(&image))?;
        return print(&image_text(&entry, verbose)?);
    }
    let name = reference(&matches.args[0])?;
    if let Some(entries) = store.list(&name)? {
        return print(&list_text(&entries, verbose));
    }
    let insecure = std::iter::once(&name).filter(|_| matches.flag("insecure"));
    let registries = Registries::new(context, insecure);
    let text = context.run(async {
        match registries.find(&name).await? {
            Found::Image(entry) => image_text(&entry, verbose),
            Found::List(manifests) if verbose => Ok(list_text(
                &registries.images(&name, &manifests).await?,
                true,
            )),
            Found::List(manifests) => Ok(format!("{}\n", list_document(&manifests).1)),
        }
    })?;
    print(&text)
}

/// The manifest itself, or the document about it.
fn image_text(entry: &Entry, verbose: bool) -> Result<String, Failure> {
    if verbose {
        return Ok(tabbed(&entry.json()));
    }
    let text = std::str::from_utf8(&entry.raw)
        .map_err(|error| Failure::new(format!("{}: {error}", entry.reference)))?;
    Ok(format!("{}\n", indent_with(text, "\t")))
}

fn list_text(entries: &[Entry], verbose: bool) -> String {
    if verbose {
        let entries: Vec<Json> = entries.iter().map(Entry::json).collect();
        return tabbed(&Json::List(entries.into()));
    }
    let descriptors: Vec<_> = entries
        .iter()
        .map(|entry| entry.descriptor.clone())
        .collect();
    format!("{}\n", list_document(&descriptors).1)
}

fn tabbed(document: &Json) -> String {
    format!("{}\n", indent_with(&document.compact(Html::Escaped), "\t"))
}
