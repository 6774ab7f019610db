use std::path::Path;

use super::*;
use crate::http::version::MIN_VERSION;

fn settings(words: &[&str]) -> Result<Settings, ConfigError> {
    flags::parse(words.iter().map(|w| (*w).to_owned()))
}

fn config(words: &[&str], json: &str) -> Result<Config, ConfigError> {
    Reader(file::merge(settings(words)?, file::parse(json)?)?).config()
}

fn refusal(words: &[&str], json: &str) -> String {
    config(words, json)
        .expect_err("this should be refused")
        .to_string()
}

#[test]
fn flags_in_every_way_to_write_them() {
    let c = config(
        &[
            "-DH",
            "unix:///a",
            "-Htcp://127.0.0.1:1",
            "-H=unix:///b",
            "--host",
            "unix:///c",
            "--log-level=warn",
        ],
        "",
    )
    .unwrap();
    assert!(c.debug);
    assert_eq!(
        c.hosts,
        ["unix:///a", "tcp://127.0.0.1:1", "unix:///b", "unix:///c"]
    );
    assert_eq!(c.log_level, LogLevel::Warn);
    assert!(!config(&["--debug=false"], "").unwrap().debug);
}

#[test]
fn nothing_said_means_the_defaults() {
    let c = config(&[], "").unwrap();
    assert_eq!(c.hosts, ["unix:///run/tare/tare.sock"]);
    assert_eq!(c.pidfile, Path::new("/run/tare/tare.pid"));
    assert_eq!(c.default_shm_size, 67_108_864);
    assert_eq!(c.min_api_version, MIN_VERSION);
    assert_eq!(c.default_runtime, engine::RUNTIME);
}

#[test]
fn socket_and_pidfile_follow_the_exec_root() {
    let c = config(&["--exec-root", "/run/other"], "").unwrap();
    assert_eq!(c.hosts, ["unix:///run/other/tare.sock"]);
    assert_eq!(c.pidfile, Path::new("/run/other/tare.pid"));
}

#[test]
fn dockerds_texts_about_broken_files() {
    let check = |words: &[&str], json, expect: &str| assert_eq!(refusal(words, json), expect);
    check(
        &[],
        r#"{"foo":1,"debug":true}"#,
        "the following directives don't match any configuration option: foo",
    );
    check(
        &["-D"],
        r#"{"debug":true}"#,
        "the following directives are specified both as a flag and in the configuration file: debug: (from flag: true, from file: true)",
    );
    check(
        &["-H", "unix:///y"],
        r#"{"hosts":["unix:///x"]}"#,
        "the following directives are specified both as a flag and in the configuration file: hosts: (from flag: [unix:///y], from file: [unix:///x])",
    );
    check(&["-l", "foo"], "", "invalid logging level: foo");
    check(&["--nope"], "", "unknown flag: --nope");
    check(&["-Z"], "", "unknown shorthand flag: 'Z' in -Z");
    check(&["--label"], "", "flag needs an argument: --label");
    assert!(refusal(&[], "{").starts_with("invalid JSON: "));
    check(
        &[],
        r#"{"debug":"x"}"#,
        "invalid JSON: cannot unmarshal string into field debug of type bool",
    );
}

#[test]
fn what_cannot_be_honoured_is_refused_by_name() {
    assert_eq!(
        refusal(&["--tlscert", "x"], ""),
        "--tlscert is not supported by this daemon: TLS is not built yet"
    );
    assert_eq!(
        refusal(&[], r#"{"tlscert":"x"}"#),
        "the key tlscert is not supported by this daemon: TLS is not built yet"
    );
    assert!(refusal(&["--live-restore=false"], "").contains("live-restore"));
    assert!(refusal(&["--storage-driver", "btrfs"], "").contains("btrfs"));
    assert!(refusal(&["--exec-opt", "native.cgroupdriver=systemd"], "").contains("systemd"));
    assert!(refusal(&["--log-driver", "syslog"], "").contains("syslog"));
    assert!(refusal(&["--default-runtime", "crun"], "").contains("crun"));
}

#[test]
fn a_refused_switch_may_be_turned_off() {
    assert!(
        config(
            &["--rootless=false", "--selinux-enabled=false"],
            r#"{"ipv6":false}"#
        )
        .is_ok()
    );
    assert!(refusal(&["--rootless"], "").contains("--rootless"));
}

#[test]
fn names_for_the_host() {
    let read = |args: &[&str], file: &str| {
        let names = config(args, file).unwrap().host_names;
        names.map(|names| format!("{} {}", names.at, names.domain))
    };
    assert_eq!(read(&[], ""), None);
    assert_eq!(
        read(&["--host-names", "127.0.0.153"], ""),
        Some("127.0.0.153:53 tare".into())
    );
    let file = r#"{"host-names": "[::1]:5353", "host-names-domain": "Tare.Internal"}"#;
    assert_eq!(read(&[], file), Some("[::1]:5353 tare.internal".into()));
    let wrong = |args: &[&str]| refusal(args, "");
    for address in ["0.0.0.0", "192.0.2.1:53", "localhost", "127.0.0.1:0", "x"] {
        assert!(
            wrong(&["--host-names", address]).contains("host-names"),
            "{address}"
        );
    }
    for domain in ["", ".", "a..b", "a b", ".tare", &"a".repeat(64)] {
        let args = ["--host-names", "::1", "--host-names-domain", domain];
        assert!(wrong(&args).contains("host-names-domain"), "{domain}");
    }
    assert!(wrong(&["--host-names-domain", "tare"]).contains("host-names"));
}

#[test]
fn networks() {
    let c = config(
        &["--bip", "10.1.0.1/16", "--icc=false", "--ip", "127.0.0.1"],
        r#"{"mtu":1400,"default-address-pools":[{"base":"10.64.0.0/10","size":24}]}"#,
    )
    .unwrap();
    let networking = c.networking;
    assert_eq!(
        (networking.bip.as_str(), networking.mtu),
        ("10.1.0.1/16", 1400)
    );
    assert!(!networking.icc && networking.masquerade);
    assert_eq!(networking.pools, [("10.64.0.0/10".to_owned(), 24)]);
    let flag = config(&["--default-address-pool", "base=10.64.0.0/10,size=24"], "").unwrap();
    assert_eq!(flag.networking.pools, networking.pools);
    assert!(refusal(&["--iptables=false"], "").contains("iptables"));
    assert!(refusal(&["--mtu", "9"], "").contains("mtu"));
    assert!(refusal(&["--ip", "x"], "").contains("not an IP address"));
    assert!(refusal(&["-b", "br0", "--bip", "10.0.0.1/8"], "").contains("mutually exclusive"));
    assert!(refusal(&["--default-address-pool", "10.0.0.0/8"], "").contains("base=SUBNET"));
    // The only engine of its data root has the plain name.
    assert_eq!(config(&[], "").unwrap().networking.own_name, "tare0");
    assert_eq!(
        config(&["--data-root", "/x"], "")
            .unwrap()
            .networking
            .own_name,
        ""
    );
}

#[test]
fn runtimes_from_both_places() {
    let c = config(&["--add-runtime", "crun=/usr/bin/crun"], r#"{"runtimes":{"runc":{"path":"/usr/bin/runc","runtimeArgs":["--debug"]}},"default-runtime":"runc"}"#).unwrap();
    assert_eq!(c.runtimes["crun"].path, "/usr/bin/crun");
    assert_eq!(c.runtimes["runc"].args, ["--debug"]);
    assert_eq!(c.default_runtime, "runc");
    assert!(
        refusal(
            &[],
            r#"{"runtimes":{"kata":{"runtimeType":"io.containerd.kata.v2"}}}"#
        )
        .contains("runtimeType")
    );
}

#[test]
fn options_of_new_networks_by_driver() {
    let options = |args: &[&str], file: &str| config(args, file).unwrap().networking.options;
    let flag = "--default-network-opt";
    let said = options(
        &[
            flag,
            "bridge=a.b=1=2",
            flag,
            "bridge=c=3",
            flag,
            "macvlan=d=",
        ],
        "",
    );
    assert_eq!(said["bridge"]["a.b"], "1=2");
    assert_eq!(said["bridge"]["c"], "3");
    assert_eq!(said["macvlan"]["d"], "");
    let file = r#"{"default-network-opts":{"bridge":{"com.docker.network.driver.mtu":"1400"}}}"#;
    assert_eq!(
        options(&[], file)["bridge"]["com.docker.network.driver.mtu"],
        "1400"
    );
    for wrong in ["bridge", "bridge=mtu"] {
        assert!(refusal(&[flag, wrong], "").contains("DRIVER=OPTION=VALUE"));
    }
    let file = r#"{"default-network-opts":{"bridge":{"com.docker.network.driver.mtu":1400}}}"#;
    assert!(refusal(&[], file).contains("object of strings"));
}

#[test]
fn ulimits_labels_and_log_options() {
    let c = config(
        &[
            "--default-ulimit",
            "nofile=64:128",
            "--label",
            "a=b",
            "--log-opt",
            "max-size=1m",
            "--log-opt",
            "max-file=3",
        ],
        "",
    )
    .unwrap();
    assert_eq!(
        c.default_ulimits,
        [Ulimit {
            name: "nofile".into(),
            soft: 64,
            hard: 128
        }]
    );
    assert_eq!(c.log_opts["max-file"], "3");
    let c = config(
        &[],
        r#"{"default-ulimits":{"nofile":{"Name":"nofile","Hard":64000,"Soft":100}}}"#,
    )
    .unwrap();
    assert_eq!(c.default_ulimits[0].hard, 64000);
    assert!(refusal(&["--default-ulimit", "nofile=9:3"], "").contains("nofile"));
    assert_eq!(
        refusal(&["--label", "a=b", "--label", "a=c"], ""),
        "conflict labels for a"
    );
    assert_eq!(
        refusal(&["--label", "plain"], ""),
        "bad attribute format: plain"
    );
}

#[test]
fn every_option_is_named_once() {
    let mut seen = std::collections::BTreeSet::new();
    for opt in table::OPTIONS {
        assert!(!opt.name().is_empty());
        assert!(seen.insert((opt.flag, opt.key)), "{} twice", opt.name());
    }
}
