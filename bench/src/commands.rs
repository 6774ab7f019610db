//! One command as a user types it: `run` and `exec`.

use tests::{Cli, IMAGE};

use crate::table::Table;
use crate::{Contestant, Field, alternate};

pub(crate) fn run(field: &Field<'_>, table: &mut Table) {
    // Without a choice it is the bridge; with a port beside that, what publishing costs.
    for flags in [
        &["--network", "none"][..],
        &["--network", "host"],
        &[],
        &["-p", "80"],
    ] {
        let line = [&["run", "--rm"], flags, &[IMAGE, "true"]].concat();
        let command = |cli: &Cli| drop(cli.ok(&line));
        let mut contestants: Vec<Contestant<'_>> = Vec::new();
        for (name, cli) in field.contestants() {
            contestants.push((name, Box::new(move || command(cli))));
        }
        table.times(
            &format!("`{}`", line.join(" ").replace(IMAGE, "IMAGE")),
            &alternate(field.runs(30), &mut contestants),
        );
    }
    let mut contestants: Vec<Contestant<'_>> = Vec::new();
    for (name, cli) in [
        ("tare client", &field.tare),
        ("docker client", &field.docker),
    ] {
        contestants.push((name, Box::new(|| drop(cli.ok(&["--version"])))));
    }
    table.times(
        "a client alone (`--version`)",
        &alternate(field.runs(30), &mut contestants),
    );
}

pub(crate) fn exec(field: &Field<'_>, table: &mut Table) {
    let name = field.daemon.name("exec");
    for cli in [Some(&field.tare), field.peer.as_ref()]
        .into_iter()
        .flatten()
    {
        cli.ok(&[
            "run",
            "-d",
            "--network",
            "none",
            "--name",
            &name,
            IMAGE,
            "sleep",
            "100000",
        ]);
    }
    let mut contestants: Vec<Contestant<'_>> = Vec::new();
    for (who, cli) in field.contestants() {
        contestants.push((who, Box::new(|| drop(cli.ok(&["exec", &name, "true"])))));
    }
    table.times(
        "`exec C true`",
        &alternate(field.runs(40), &mut contestants),
    );
    drop(contestants);
    for cli in [Some(&field.tare), field.peer.as_ref()]
        .into_iter()
        .flatten()
    {
        cli.ok(&["rm", "-f", &name]);
    }
}
