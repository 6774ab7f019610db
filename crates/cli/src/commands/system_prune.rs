//! `system prune`: remove whatever is not in use.

use api::client::Client;
use api::types::filters::Filters;

use crate::command::{Args, Command, Flag, Order};
use crate::confirm::confirm;
use crate::context::Context;
use crate::failure::{Exit, Failure, Outcome};
use crate::filter;
use crate::flags::Matches;
use crate::print::print;
use crate::reclaim::{self, Reclaimed};

/// Status of an endpoint that a daemon does not have.
const NOT_IMPLEMENTED: Option<u16> = Some(501);

/// The row of the table.
pub(super) static COMMAND: Command = Command {
    paths: &["system prune"],
    about: "Remove whatever is not in use",
    usage: "[OPTIONS]",
    args: Args::None,
    order: Order::Anywhere,
    flags: &[&[
        Flag::bool(
            "all",
            Some('a'),
            "Also images with a name, if no container uses them",
        ),
        filter::PRUNE_FLAG,
        Flag::bool("force", Some('f'), "Do not ask"),
        Flag::bool(
            "volumes",
            None,
            "Also volumes without a name that no container uses",
        ),
    ]],
    run,
};

fn run(context: &Context, matches: &Matches) -> Outcome {
    let (all, volumes) = (matches.flag("all"), matches.flag("volumes"));
    let filters = filter::filters(matches);
    if volumes && filters.get("until").next().is_some() {
        return Err(Failure::new(
            "ERROR: The \"until\" filter is not supported with \"--volumes\"",
        ));
    }
    if !matches.flag("force") && !confirm(&warning(all, volumes, &filters))? {
        return Ok(Exit::OK);
    }
    let reclaimed = context.talk(async |client| prune(client, all, volumes, filters).await)?;
    print(&reclaimed.report())
}

fn warning(all: bool, volumes: bool, filters: &Filters) -> String {
    let mut items = vec![
        "all stopped containers",
        "all networks not used by at least one container",
    ];
    if volumes {
        items.push("all anonymous volumes not used by at least one container");
    }
    items.extend(if all {
        [
            "all images without at least one container associated to them",
            "all build cache",
        ]
    } else {
        ["all dangling images", "unused build cache"]
    });
    let mut text = String::from("WARNING! This will remove:\n");
    items
        .iter()
        .for_each(|item| text.push_str(&format!("  - {item}\n")));
    if !filters.is_empty() {
        let pairs = filters
            .0
            .iter()
            .flat_map(|(name, values)| values.iter().map(move |value| format!("{name}={value}")));
        text.push_str("\n  Items to be pruned will be filtered with:\n");
        pairs.for_each(|pair| text.push_str(&format!("  - {pair}\n")));
    }
    text
}

async fn prune(
    client: &Client,
    all: bool,
    volumes: bool,
    mut filters: Filters,
) -> Result<Reclaimed, Failure> {
    let mut sum = reclaim::containers(client, &filters).await?;
    sum.add(&if_built(reclaim::networks(client, &filters).await)?);
    if volumes {
        sum.add(&if_built(reclaim::volumes(client, &filters).await)?);
    }
    let cache_filters = filters.clone();
    filters.add("dangling", if all { "false" } else { "true" });
    sum.add(&reclaim::images(client, &filters).await?);
    sum.add(&if_built(
        reclaim::build_cache(client, &cache_filters).await,
    )?);
    Ok(sum)
}

/// A daemon without networks or a build cache has nothing of the kind to remove.
fn if_built(pruned: Result<Reclaimed, api::client::Error>) -> Result<Reclaimed, Failure> {
    match pruned {
        Err(error) if error.status() == NOT_IMPLEMENTED => Ok(Reclaimed::default()),
        other => Ok(other?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_warning_has_dockers_words() {
        let mut filters = Filters::default();
        assert_eq!(
            warning(false, false, &filters),
            "WARNING! This will remove:\n  - all stopped containers\n  - all networks not used by at least one container\n  - all dangling images\n  - unused build cache\n"
        );
        filters.add("label", "a");
        assert!(warning(true, true, &filters).ends_with(
            "  - all build cache\n\n  Items to be pruned will be filtered with:\n  - label=a\n"
        ));
    }
}
