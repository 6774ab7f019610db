//! docker-py against the daemon: attach, exec, archive, events. Each check is a function of sdk.py.

use tests::{Daemon, IMAGE, daemon_test};

fn passes(d: &Daemon, function: &str) {
    let python = std::env::var_os("TARE_TEST_PYTHON").unwrap_or_else(|| "python3".into());
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/e2e/sdk.py");
    let mut command = std::process::Command::new(python);
    command
        .args([script, function, &d.name(""), IMAGE])
        .env("DOCKER_HOST", d.host());
    let output = command.output().expect("run python");
    let text = String::from_utf8_lossy(&output.stderr);
    if text.contains("No module named 'docker'") {
        return tests::skip("docker-py is missing: `cargo xtask setup` installs it");
    }
    assert!(output.status.success(), "{function}: {text}");
}

daemon_test!(attach, |d| { passes(d, "attach") });
daemon_test!(exec, |d| { passes(d, "exec") });
daemon_test!(archive, |d| { passes(d, "archive") });
daemon_test!(events, |d| { passes(d, "events") });
daemon_test!(images, |d| { passes(d, "images") });
daemon_test!(lifecycle, |d| { passes(d, "lifecycle") });
