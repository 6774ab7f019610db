//! `top`: the processes of a container.

use api::client::Request;
use api::types::container::TopResponse;

use crate::command::{Args, Command, Order};
use crate::context::Context;
use crate::failure::Outcome;
use crate::flags::Matches;
use crate::format::columns::{Widths, align};
use crate::print::print;

/// Of the columns, which are wider than those of other lists.
const WIDTHS: Widths = Widths { least: 20, gap: 3 };

/// The row of the table.
pub(super) static COMMAND: Command = Command {
    paths: &["container top", "top"],
    about: "Show the processes of a container",
    usage: "CONTAINER [ps OPTIONS]",
    args: Args::AtLeast(1),
    order: Order::Before,
    flags: &[],
    run,
};

fn run(context: &Context, matches: &Matches) -> Outcome {
    let Some((container, ps_args)) = matches.args.split_first() else {
        return print("");
    };
    let ps_args = Some(ps_args.join(" ")).filter(|args| !args.is_empty());
    let request = Request::get(format!("/containers/{}/top", Request::escape(container)))
        .query_if("ps_args", ps_args);
    let top: TopResponse = context.talk(async |client| Ok(client.json(request).await?))?;
    let mut text = String::new();
    for row in std::iter::once(&top.titles).chain(&top.processes) {
        text.push_str(&row.join("\t"));
        text.push('\n');
    }
    print(&align(&text, WIDTHS))
}
