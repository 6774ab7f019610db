//! `manifest rm`: forget lists that were being made.

use crate::command::{Args, Command, Order};
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::flags::Matches;
use crate::manifests::{Store, no_such, reference};

/// The row of the table.
pub(super) static COMMAND: Command = Command {
    paths: &["manifest rm"],
    about: "Forget lists that were being made here",
    usage: "MANIFEST_LIST [MANIFEST_LIST...]",
    args: Args::AtLeast(1),
    order: Order::Anywhere,
    flags: &[],
    run,
};

fn run(context: &Context, matches: &Matches) -> Outcome {
    let store = Store::of(context);
    let remove = |name: &String| {
        let list = reference(name)?;
        match store.remove(&list)? {
            true => Ok(()),
            false => Err(no_such(&list)),
        }
    };
    Failure::join(matches.args.iter().filter_map(|name| remove(name).err()))
}
