//! What one running container costs beside its own processes: a budget, because it does not flicker.

use std::fs;

use tests::{Cli, Daemon, IMAGE, Options, binary};

/// The memory of a shim, with the pages that several share divided among them (PSS).
const SHIM_KILOBYTES: u64 = 1024;
const CONTAINERS: u64 = 8;

#[test]
fn a_shim_has_at_most_a_megabyte() {
    // As shipped: `cargo xtask budgets`, which CI runs before the tests, builds it.
    let shipped = binary("../dist/tare-shim");
    if tests::oracle().is_some() {
        return;
    }
    if !shipped.exists() {
        return tests::skip("tare-shim as it is shipped: `cargo xtask budgets` builds it");
    }
    let options = Options {
        shim: Some(shipped),
        ..Options::default()
    };
    Daemon::with(options, |d| {
        let cli = d.tare();
        let script = "seq 1 1000; exec sleep 1000";
        let names: Vec<String> = (0..CONTAINERS).map(|n| d.name(&n.to_string())).collect();
        for name in &names {
            cli.ok(&["run", "-d", "--name", name, IMAGE, "sh", "-c", script]);
            cli.spawn(&["logs", "-f", name]).line_with("1000");
        }
        let all: u64 = names.iter().map(|name| kilobytes_of_shim(&cli, name)).sum();
        let each = all / CONTAINERS;
        assert!(each <= SHIM_KILOBYTES, "{each} kB");
    });
}

fn kilobytes_of_shim(cli: &Cli, name: &str) -> u64 {
    let first = cli.ok(&["inspect", "-f", "{{.State.Pid}}", name]);
    let stat = fs::read_to_string(format!("/proc/{first}/stat")).expect("stat");
    let fields = stat.rsplit(") ").next().expect("fields");
    let shim = fields.split(' ').nth(1).expect("the parent");
    let rollup = fs::read_to_string(format!("/proc/{shim}/smaps_rollup")).expect("smaps_rollup");
    let pss = rollup.lines().find_map(|line| line.strip_prefix("Pss:"));
    let number = pss.expect("Pss").trim().trim_end_matches(" kB");
    number.parse().expect("a number")
}
