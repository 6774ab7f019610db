//! `load` and `save` of the large image.

use std::fs::{self, File};
use std::process::Stdio;
use std::time::{Duration, Instant};

use tests::Cli;

use crate::table::{Table, Times};
use crate::{Field, image};

const ROUNDS: usize = 3;

pub(crate) fn load_and_save(field: &Field<'_>, table: &mut Table) {
    let archive = field.daemon.folder().join("large.tar");
    image::write(&archive, u64::from(std::process::id()) * 2).expect("make the image");
    let saved = field.daemon.folder().join("saved.tar");
    let mut loads = Times::new("`load`, 5 layers, 980 MB, 26,000 files");
    let mut saves = Times::new("`save` of it");
    for _ in 0..field.runs(ROUNDS).min(ROUNDS) {
        for (who, cli) in field.contestants() {
            loads.took(who, load(cli, &archive));
            let begun = Instant::now();
            cli.ok(&["save", "-o", &saved.to_string_lossy(), image::NAME]);
            saves.took(who, begun.elapsed());
            cli.ok(&["rmi", image::NAME]);
            // Not left for the next one to replace.
            fs::remove_file(&saved).expect("remove what was saved");
        }
    }
    fs::remove_file(&archive).expect("remove the image");
    table.all(loads);
    table.all(saves);
}

/// Loads an archive that is already in the page cache.
pub(crate) fn load(cli: &Cli, archive: &std::path::Path) -> Duration {
    let file = File::open(archive).expect("open the image");
    let begun = Instant::now();
    let mut load = cli.command(&["load", "-q"]).into_inner();
    let status = load.stdin(file).stdout(Stdio::null()).status();
    assert!(status.expect("run load").success());
    begun.elapsed()
}
