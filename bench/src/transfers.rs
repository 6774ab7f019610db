//! `push` and `pull` of the large image, each against a docker-registry that is new to everybody.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use tests::{Cli, Connection, Registry};

use crate::table::{Table, Times};
use crate::{Field, archives, image, memory};

const ROUNDS: usize = 3;

pub(crate) fn push_and_pull(field: &Field<'_>, table: &mut Table) {
    let mut pushes = Times::new("`push`, 5 layers, 335 MB of gzip");
    let mut pulls = Times::new("`pull` of them, 980 MB, 26,000 files");
    // The client only tells how far it is, so each daemon has its own.
    let mut contestants = field.contestants();
    contestants.retain(|(who, _)| *who != "docker client, tare");
    give(field, &contestants);
    for round in 0..field.runs(ROUNDS).min(ROUNDS) {
        let mut registries = Vec::new();
        for (who, cli) in &contestants {
            let Some(registry) = Registry::open() else {
                return;
            };
            let name = name_at(&registry);
            cli.ok(&["tag", image::NAME, &name]);
            pushes.took(who, timed(cli, &["push", "-q", &name]));
            cli.ok(&["rmi", image::NAME, &name]);
            registries.push(registry);
        }
        pulls.took(BY_HAND, by_hand(field, &registries[0], round));
        for ((who, cli), registry) in contestants.iter().zip(&registries) {
            let name = name_at(registry);
            pulls.took(who, timed(cli, &["pull", "-q", &name]));
            cli.ok(&["tag", &name, image::NAME]);
            cli.ok(&["rmi", &name]);
        }
    }
    for (_, cli) in &contestants {
        cli.ok(&["rmi", image::NAME]);
    }
    table.all(pushes);
    table.all(pulls);
    let most = memory::most(field.daemon.pid());
    table.values(
        "a daemon's most in all of this, resident",
        "MB",
        &[("tare daemon", most)],
    );
}

const BY_HAND: &str = "curl | tar xz, all layers at once";

fn name_at(registry: &Registry) -> String {
    format!("{}/large:latest", registry.host())
}

/// Has everybody load the image.
fn give(field: &Field<'_>, contestants: &[(&'static str, &Cli)]) {
    let archive = field.daemon.folder().join("large.tar");
    image::write(&archive, u64::from(std::process::id()) * 2 + 1).expect("make the image");
    for (_, cli) in contestants {
        archives::load(cli, &archive);
    }
    fs::remove_file(&archive).expect("remove the image");
}

fn timed(cli: &Cli, words: &[&str]) -> Duration {
    let begun = Instant::now();
    cli.ok(words);
    begun.elapsed()
}

/// What a shell makes of the same blobs.
fn by_hand(field: &Field<'_>, registry: &Registry, round: usize) -> Duration {
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
}
