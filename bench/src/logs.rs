//! 200 MB of a container's output into json-file, and back.

use std::process::Stdio;
use std::time::{Duration, Instant};

use tests::{Cli, IMAGE};

use crate::Field;
use crate::table::Table;

pub(crate) fn write_and_read(field: &Field<'_>, table: &mut Table) {
    let megabytes = if field.quick { 20 } else { 200 };
    let (mut written, mut read): (Vec<_>, Vec<_>) = (Vec::new(), Vec::new());
    for (who, cli) in field.contestants() {
        let name = field.daemon.name("log");
        let script = format!(
            "yes 'a line of eighty characters, as programs write them into their logs all day..' | head -c {megabytes}000000"
        );
        let begun = Instant::now();
        let args = [
            "run",
            "-d",
            "--network",
            "none",
            "--name",
            &name,
            "--log-driver",
            "json-file",
            "--log-opt",
            "max-size=2g",
        ];
        cli.ok(&[&args[..], &[IMAGE, "sh", "-c", &script]].concat());
        assert_eq!(cli.ok(&["wait", &name]), "0");
        written.push((who, begun.elapsed()));
        let times: Vec<Duration> = (0..3).map(|_| read_back(cli, &name)).collect();
        read.push((who, crate::median(times)));
        cli.ok(&["rm", &name]);
    }
    table.times(&format!("{megabytes} MB of output into the log"), &written);
    table.times(&format!("`logs` of {megabytes} MB"), &read);
}

fn read_back(cli: &Cli, name: &str) -> Duration {
    let mut command = cli.command(&["logs", name]).into_inner();
    let begun = Instant::now();
    let status = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    assert!(status.expect("run logs").success());
    begun.elapsed()
}
