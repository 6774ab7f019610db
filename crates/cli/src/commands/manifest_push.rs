//! `manifest push`: put a list under its name at the registry.

use oci::Reference;

use super::manifest_create::INSECURE;
use crate::command::{Args, Command, Flag, Order};
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::flags::Matches;
use crate::manifests::entry::{Entry, list_document};
use crate::manifests::remote::Registries;
use crate::manifests::{Store, no_such, reference};
use crate::print::print;

/// The row of the table.
pub(super) static COMMAND: Command = Command {
    paths: &["manifest push"],
    about: "Put a list that has been made under its name at the registry",
    usage: "[OPTIONS] MANIFEST_LIST",
    args: Args::Exactly(1),
    order: Order::Anywhere,
    flags: &[&[
        INSECURE,
        Flag::bool("purge", Some('p'), "Forget the list here when it is there"),
    ]],
    run,
};

fn run(context: &Context, matches: &Matches) -> Outcome {
    let target = reference(&matches.args[0])?;
    let store = Store::of(context);
    let entries = store.list(&target)?.ok_or_else(|| no_such(&target))?;
    let elsewhere = elsewhere(&entries, &target)?;
    let insecure = std::iter::once(&target).filter(|_| matches.flag("insecure"));
    let registries = Registries::new(context, insecure);
    let digest = context.run(async {
        for (entry, from) in &elsewhere {
            registries.copy(entry, from, &target).await?;
            let (name, digest) = (target.name(), &entry.descriptor.digest);
            print(&format!(
                "Pushed ref {name}@{digest} with digest: {digest}\n"
            ))?;
        }
        let descriptors: Vec<_> = entries
            .iter()
            .map(|entry| entry.descriptor.clone())
            .collect();
        let (kind, document) = list_document(&descriptors);
        registries.put(&target, kind, document).await
    })?;
    print(&format!("{digest}\n"))?;
    if matches.flag("purge") {
        store.remove(&target)?;
    }
    Ok(crate::failure::Exit::OK)
}

/// The images that the list's repository lacks, with where they are. All of them must be at the list's registry, and say what
/// they run on.
fn elsewhere<'a>(
    entries: &'a [Entry],
    target: &Reference,
) -> Result<Vec<(&'a Entry, Reference)>, Failure> {
    let mut found = Vec::new();
    for entry in entries {
        let platform = entry.descriptor.platform.clone().unwrap_or_default();
        if platform.os.is_empty() || platform.architecture.is_empty() {
            return Err(Failure::new(format!(
                "manifest {} must have an OS and Architecture to be pushed to a registry",
                entry.reference
            )));
        }
        let from = reference(&entry.reference)?;
        if from.domain() != target.domain() {
            return Err(Failure::new(format!(
                "cannot use source images from a different registry than the target image: {} != {}",
                from.domain(),
                target.domain()
            )));
        }
        if from.path() != target.path() {
            found.push((entry, from));
        }
    }
    Ok(found)
}
