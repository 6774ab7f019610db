//! `update`: change a container that is there, while it runs too. So far, its published ports.

use api::client::Request;
use api::types::network::PortsChange;

use super::each::{each, path};
use crate::command::{Args, Command, Flag, Order, Takes};
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::flags::Matches;
use crate::options::ports;

/// The row of the table.
pub(super) static COMMAND: Command = Command {
    paths: &["container update", "update"],
    about: "Publish further ports of containers, or end published ones, while they run",
    usage: "[OPTIONS] CONTAINER [CONTAINER...]",
    args: Args::AtLeast(1),
    order: Order::Anywhere,
    flags: &[&[
        Flag::list(
            "publish-add",
            None,
            "Port to publish, as with run: [[IP:]HOST:]PORT[/PROTOCOL]",
        ),
        Flag::list(
            "publish-rm",
            None,
            "Published port to end: PORT[/PROTOCOL], or more exactly as with --publish-add",
        ),
        Flag::not_built("blkio-weight", None, Takes::Value),
        Flag::not_built("cpu-period", None, Takes::Value),
        Flag::not_built("cpu-quota", None, Takes::Value),
        Flag::not_built("cpu-rt-period", None, Takes::Value),
        Flag::not_built("cpu-rt-runtime", None, Takes::Value),
        Flag::not_built("cpu-shares", Some('c'), Takes::Value),
        Flag::not_built("cpus", None, Takes::Value),
        Flag::not_built("cpuset-cpus", None, Takes::Value),
        Flag::not_built("cpuset-mems", None, Takes::Value),
        Flag::not_built("memory", Some('m'), Takes::Value),
        Flag::not_built("memory-reservation", None, Takes::Value),
        Flag::not_built("memory-swap", None, Takes::Value),
        Flag::not_built("pids-limit", None, Takes::Value),
        Flag::not_built("restart", None, Takes::Value),
    ]],
    run,
};

fn run(context: &Context, matches: &Matches) -> Outcome {
    let change = PortsChange {
        remove: ports::publish(matches.list("publish-rm")).map_err(Failure::new)?,
        add: ports::publish(matches.list("publish-add")).map_err(Failure::new)?,
    };
    if change == PortsChange::default() {
        return Err(Failure::new(
            "you must provide one or more flags when using this command",
        ));
    }
    each(context, &matches.args, &async |client, name| {
        let path = format!("/tare{}", path(name, "ports")?);
        client.call(Request::post(path).body(&change)).await?;
        Ok(())
    })
}
