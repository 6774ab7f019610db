//! `manifest create`: begin a list of images for several platforms.

use crate::command::{Args, Command, Flag, Order};
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::flags::Matches;
use crate::manifests::remote::{Found, Registries};
use crate::manifests::{Store, reference};
use crate::print::print;

/// The flag of all commands that go to a registry.
pub(super) const INSECURE: Flag = Flag::bool(
    "insecure",
    None,
    "The registry may be without TLS, or have a certificate that nobody knows",
);

/// The row of the table.
pub(super) static COMMAND: Command = Command {
    paths: &["manifest create"],
    about: "Begin a list of images for several platforms, to be annotated and pushed",
    usage: "MANIFEST_LIST MANIFEST [MANIFEST...]",
    args: Args::AtLeast(2),
    order: Order::Anywhere,
    flags: &[&[
        Flag::bool("amend", Some('a'), "Go on with a list that is there"),
        INSECURE,
    ]],
    run,
};

fn run(context: &Context, matches: &Matches) -> Outcome {
    let list = reference(&matches.args[0])?;
    let images = matches.args[1..]
        .iter()
        .map(|name| reference(name))
        .collect::<Result<Vec<_>, _>>()?;
    let store = Store::of(context);
    if store.list(&list)?.is_some() && !matches.flag("amend") {
        return Err(Failure::new(
            "refusing to amend an existing manifest list with no --amend flag",
        ));
    }
    let registries = Registries::new(context, images.iter().filter(|_| matches.flag("insecure")));
    context.run(async {
        for image in &images {
            if store.get(&list, image)?.is_some() {
                continue;
            }
            match registries.find(image).await? {
                Found::Image(entry) => store.put(&list, image, &entry)?,
                Found::List(_) => {
                    let name = image.canonical();
                    return Err(Failure::new(format!("{name} is a manifest list")));
                }
            }
        }
        Ok(())
    })?;
    print(&format!("Created manifest list {}\n", list.canonical()))
}
