use super::*;
use crate::command::Order;
use crate::create::flags;
use crate::flags::parse;

/// The document of a command line.
fn document(line: &[&str]) -> Result<serde_json::Value, String> {
    let groups = [
        flags::PROCESS,
        flags::IDENTITY,
        flags::STORAGE,
        flags::RESOURCES,
        flags::ISOLATION,
        flags::LOGGING,
        flags::NOT_BUILT,
    ];
    let all: Vec<_> = groups.iter().flat_map(|group| group.iter()).collect();
    let matches = parse(
        &all,
        Order::Before,
        line.iter().map(|&word| word.to_owned()),
    )
    .map_err(|error| error.to_string())?;
    let request = read(&matches).map_err(|failure| failure.to_string())?;
    serde_json::to_value(request).map_err(|error| error.to_string())
}

#[test]
fn flags_reach_the_document() {
    let check = |line: &[&str], path: &str, expected: serde_json::Value| {
        let mut line = line.to_vec();
        line.push("image");
        let document = document(&line).unwrap();
        assert_eq!(document.pointer(path), Some(&expected), "{line:?}");
    };
    let json = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
    check(&["-i"], "/OpenStdin", json("true"));
    check(&["-i"], "/StdinOnce", json("true"));
    check(&["-a", "stdout"], "/AttachStderr", json("false"));
    check(&["-aSTDERR"], "/AttachStdout", json("false"));
    check(&["--entrypoint="], "/Entrypoint", json(r#"[""]"#));
    check(
        &["-v", "/a:/b:ro", "-v", "/c"],
        "/HostConfig/Binds",
        json(r#"["/a:/b:ro"]"#),
    );
    check(
        &["-v", "/a:/b:ro", "-v", "/c"],
        "/Volumes",
        json(r#"{"/c":{}}"#),
    );
    check(
        &["-e", "A=1", "--label", "x=y=z"],
        "/Labels",
        json(r#"{"x":"y=z"}"#),
    );
    check(&["-m", "64m"], "/HostConfig/Memory", json("67108864"));
    check(
        &["--memory-swap", "-1"],
        "/HostConfig/MemorySwap",
        json("-1"),
    );
    check(
        &["--cpus", "1.5"],
        "/HostConfig/NanoCpus",
        json("1500000000"),
    );
    check(
        &["--tmpfs", "/t:size=1m", "--tmpfs", "/u"],
        "/HostConfig/Tmpfs",
        json(r#"{"/t":"size=1m","/u":""}"#),
    );
    check(
        &["--security-opt", "systempaths=unconfined"],
        "/HostConfig/MaskedPaths",
        json("[]"),
    );
    check(
        &["--network", "container:x"],
        "/HostConfig/NetworkMode",
        json(r#""container:x""#),
    );
    check(&[], "/HostConfig/NetworkMode", json(r#""default""#));
    check(
        &["--restart", "on-failure:3"],
        "/HostConfig/RestartPolicy/MaximumRetryCount",
        json("3"),
    );
    check(
        &["--ulimit", "nofile=1:2", "--ulimit", "nofile=3"],
        "/HostConfig/Ulimits/0/Soft",
        json("3"),
    );
    check(&["--stop-timeout", "0"], "/StopTimeout", json("0"));
    check(&["--init=false"], "/HostConfig/Init", json("false"));
    check(
        &["--no-healthcheck"],
        "/Healthcheck",
        json(r#"{"Test":["NONE"]}"#),
    );
    check(
        &["--device-read-bps", "/dev/a:1mb"],
        "/HostConfig/BlkioDeviceReadBps",
        json(r#"[{"Path":"/dev/a","Rate":1048576}]"#),
    );
    check(
        &["--blkio-weight-device", "/dev/a:100"],
        "/HostConfig/BlkioWeightDevice",
        json(r#"[{"Path":"/dev/a","Weight":100}]"#),
    );
    check(
        &["--blkio-weight", "300"],
        "/HostConfig/BlkioWeight",
        json("300"),
    );
    check(
        &["--log-opt", "max-size=1m"],
        "/HostConfig/LogConfig/Config",
        json(r#"{"max-size":"1m"}"#),
    );
}

/// As Docker's client 28.2 sends it for `create busybox`: `[]` here, `null` there.
#[test]
fn what_was_not_asked_for_has_dockers_shape() {
    let document = document(&["image"]).unwrap();
    let host = &document["HostConfig"];
    for list in [
        "Dns",
        "DnsOptions",
        "DnsSearch",
        "BlkioWeightDevice",
        "BlkioDeviceReadBps",
        "BlkioDeviceWriteBps",
        "BlkioDeviceReadIOps",
        "BlkioDeviceWriteIOps",
        "Devices",
        "Ulimits",
    ] {
        assert_eq!(host[list], serde_json::json!([]), "{list}");
    }
    for null in ["Binds", "CapAdd", "ExtraHosts", "SecurityOpt"] {
        assert!(host[null].is_null(), "{null}");
    }
    assert_eq!(host["MemorySwappiness"], -1);
    assert_eq!(host["OomKillDisable"], false);
    assert_eq!(host["PidsLimit"], 0);
    assert!(document["Env"].is_null());
    assert_eq!(document["Volumes"], serde_json::json!({}));
}

#[test]
fn the_command_follows_the_image() {
    let document = document(&["image", "sh", "-c", "--rm"]).unwrap();
    assert_eq!(document["Image"], "image");
    assert_eq!(document["Cmd"], serde_json::json!(["sh", "-c", "--rm"]));
    assert_eq!(document["HostConfig"]["AutoRemove"], false);
}

#[test]
fn what_does_not_go_together_is_refused_in_dockers_words() {
    let check = |line: &[&str], text: &str| assert_eq!(document(line).unwrap_err(), text);
    check(
        &["--rm", "--restart", "always", "i"],
        "conflicting options: cannot specify both --restart and --rm",
    );
    check(
        &["--log-driver", "none", "--log-opt", "a=b", "i"],
        "invalid logging opts for driver none",
    );
    check(
        &["--memory-swappiness", "200", "i"],
        "invalid value: 200. Valid memory swappiness range is 0-100",
    );
    check(&["--pid", "x", "i"], "--pid: invalid PID mode");
    check(&["--userns", "x", "i"], "--userns: invalid USER mode");
    check(&["-p", "x:80", "i"], "invalid hostPort: x");
    check(
        &["-a", "x", "i"],
        "invalid argument \"x\" for \"-a, --attach\" flag: valid streams are STDIN, STDOUT and STDERR",
    );
}
