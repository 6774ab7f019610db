//! `load` and `save` of the large image.

use std::fs::File;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::table::Table;
use crate::{Field, image, median};

pub(crate) fn load_and_save(field: &Field<'_>, table: &mut Table) {
    let archive = field.daemon.folder().join("large.tar");
    image::write(&archive).expect("make the image");
    let saved = field.daemon.folder().join("saved.tar");
    let (mut loads, mut saves) = (Vec::new(), Vec::new());
    for (who, cli) in field.contestants() {
        let rounds: Vec<(Duration, Duration)> = (0..field.runs(5).min(5))
            .map(|_| {
                let begun = Instant::now();
                let mut load = cli.command(&["load", "-q"]).into_inner();
                let file = File::open(&archive).expect("open the image");
                let status = load.stdin(file).stdout(Stdio::null()).status();
                assert!(status.expect("run load").success());
                let load = begun.elapsed();
                let begun = Instant::now();
                cli.ok(&["save", "-o", &saved.to_string_lossy(), image::NAME]);
                let save = begun.elapsed();
                cli.ok(&["rmi", image::NAME]);
                (load, save)
            })
            .collect();
        loads.push((who, median(rounds.iter().map(|(load, _)| *load).collect())));
        saves.push((who, median(rounds.iter().map(|(_, save)| *save).collect())));
    }
    table.times("`load`, 5 layers, 980 MB, 26,000 files", &loads);
    table.times("`save` of it", &saves);
}
