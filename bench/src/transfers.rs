//! `push` and `pull` of the large image, each against a docker-registry that is new to everybody.

use std::fs::{self, File};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tests::{Cli, Connection, Registry};

use crate::table::Table;
use crate::{Field, image, median};

const ROUNDS: usize = 3;

pub(crate) fn push_and_pull(field: &Field<'_>, table: &mut Table) {
    let archive = field.daemon.folder().join("large.tar");
    image::write(&archive).expect("make the image");
    let (mut pushes, mut pulls) = (Vec::new(), Vec::new());
    for (who, cli) in field.contestants() {
        let (mut push, mut pull) = (Vec::new(), Vec::new());
        for _ in 0..field.runs(ROUNDS).min(ROUNDS) {
            let Some(registry) = Registry::open() else {
                return;
            };
            let file = File::open(&archive).expect("open the image");
            let mut load = cli.command(&["load", "-q"]).into_inner();
            let status = load.stdin(file).stdout(Stdio::null()).status();
            assert!(status.expect("run load").success());
            let name = format!("{}/large:latest", registry.host());
            cli.ok(&["tag", image::NAME, &name]);
            push.push(timed(cli, &["push", "-q", &name]));
            cli.ok(&["rmi", image::NAME, &name]);
            pull.push(timed(cli, &["pull", "-q", &name]));
            cli.ok(&["rmi", &name]);
            if pulls.is_empty() && push.len() == 1 {
                pulls.push((
                    "curl | tar xz, all layers at once",
                    by_hand(field, &registry),
                ));
            }
        }
        pushes.push((who, median(push)));
        pulls.push((who, median(pull)));
    }
    table.times("`push`, 5 layers, 335 MB of gzip", &pushes);
    table.times("`pull` of them, 980 MB, 26,000 files", &pulls);
}

fn timed(cli: &Cli, words: &[&str]) -> Duration {
    let begun = Instant::now();
    cli.ok(words);
    begun.elapsed()
}

/// What a shell makes of the same blobs.
fn by_hand(field: &Field<'_>, registry: &Registry) -> Duration {
    let mut connection =
        Connection::try_open(&format!("tcp://{}", registry.host())).expect("connect");
    let accept = "application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.manifest.v1+json";
    let path = "/v2/large/manifests/latest";
    let got = connection.request("GET", path, &[("Accept", accept)], b"");
    let manifest: serde_json::Value =
        serde_json::from_slice(&got.expect("the manifest").body).expect("JSON");
    let mut script = String::new();
    for layer in manifest["layers"].as_array().expect("layers") {
        let digest = layer["digest"].as_str().expect("a digest");
        let hex = digest.trim_start_matches("sha256:");
        script.push_str(&format!(
            "mkdir {hex} && curl -sSf http://{}/v2/large/blobs/{digest} | tar -xzC {hex} &\n",
            registry.host()
        ));
    }
    script.push_str("wait\n");
    let times = (0..field.runs(ROUNDS).min(ROUNDS)).map(|round| {
        let folder = field.daemon.folder().join(format!("by-hand-{round}"));
        fs::create_dir(&folder).expect("mkdir");
        let begun = Instant::now();
        let status = Command::new("sh")
            .args(["-c", &script])
            .current_dir(&folder)
            .status();
        let time = begun.elapsed();
        assert!(status.expect("run curl and tar").success());
        fs::remove_dir_all(&folder).expect("remove");
        time
    });
    median(times.collect())
}
