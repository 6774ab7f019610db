//! What one running container costs beside its own processes: a budget, because it does not flicker.

use std::fs;

use tests::{Daemon, IMAGE, Options, binary};

/// Bytes of the shim that count as its own, shared pages divided by their users (PSS).
const SHIM_KILOBYTES: u64 = 1024;

#[test]
fn a_shim_has_at_most_a_megabyte() {
    // As shipped: `cargo xtask budgets`, which CI runs before the tests, builds it.
    let shipped = binary("../dist/tare-shim");
    if tests::oracle().is_some() || !shipped.exists() {
        return;
    }
    let options = Options {
        shim: Some(shipped),
        ..Options::default()
    };
    Daemon::with(options, |d| {
        let cli = d.tare();
        let name = d.name("a");
        cli.ok(&[
            "run",
            "-d",
            "--name",
            &name,
            IMAGE,
            "sh",
            "-c",
            "yes | head -n 100000; exec sleep 1000",
        ]);
        cli.spawn(&["logs", "-f", "-n", "1", &name]).line();
        let first = cli.ok(&["inspect", "-f", "{{.State.Pid}}", &name]);
        let stat = fs::read_to_string(format!("/proc/{first}/stat")).expect("stat");
        let shim = stat
            .rsplit(") ")
            .next()
            .and_then(|fields| fields.split(' ').nth(1))
            .expect("the parent");
        let rollup =
            fs::read_to_string(format!("/proc/{shim}/smaps_rollup")).expect("smaps_rollup");
        let pss = rollup
            .lines()
            .find_map(|line| line.strip_prefix("Pss:"))
            .expect("Pss");
        let kilobytes: u64 = pss
            .trim()
            .trim_end_matches(" kB")
            .parse()
            .expect("a number");
        assert!(kilobytes <= SHIM_KILOBYTES, "{kilobytes} kB");
    });
}
