use super::*;
use proptest::prelude::*;
use serde_json::json;

#[test]
fn dockers_import_is_read() {
    let config = ImageConfig::parse(
        br#"{"architecture":"amd64","comment":"Imported from -","config":{"Hostname":"","Tty":false,"Env":null,"Cmd":["sh"],"Image":"","Volumes":null,"WorkingDir":"","Entrypoint":null,"OnBuild":null,"Labels":null},"created":"2026-11-22T00:52:33.718879688Z","docker_version":"28.5.2","history":[{"created":"2026-11-22T00:52:33.718879688Z","comment":"Imported from -"}],"os":"linux","rootfs":{"type":"layers","diff_ids":["sha256:7ce96ebf9dcd2f21edd3a38a5c330fe2ac125e4150c4cb1db3664c9f43a37dd9"]},"x.custom":[1]}"#,
    )
    .unwrap();
    assert_eq!(config.config.cmd.as_deref(), Some(&["sh".to_owned()][..]));
    assert_eq!(config.config.env, None);
    assert_eq!(config.config.extra["Tty"], json!(false));
    assert_eq!(config.extra["x.custom"], json!([1]));
    assert_eq!(config.rootfs.diff_ids.len(), 1);
    assert_eq!(config.platform().to_string(), "linux/amd64");
    assert_eq!(ImageConfig::parse(&config.to_bytes()).unwrap(), config);
}

#[test]
fn sets_are_objects_of_empty_objects() {
    let config: ContainerConfig = serde_json::from_value(
        json!({"ExposedPorts": {"80/tcp": {}, "53/udp": {"x": 1}}, "Volumes": {}}),
    )
    .unwrap();
    assert_eq!(
        config.exposed_ports,
        Some(["53/udp", "80/tcp"].into_iter().collect())
    );
    let text = serde_json::to_string(&config).unwrap();
    assert_eq!(
        text,
        r#"{"ExposedPorts":{"53/udp":{},"80/tcp":{}},"Volumes":{}}"#
    );
}

#[test]
fn health_checks_keep_nanoseconds() {
    let check = json!({"Test": ["CMD", "true"], "Interval": 30_000_000_000i64, "Retries": 3});
    let parsed: Healthcheck = serde_json::from_value(check.clone()).unwrap();
    assert_eq!(parsed.interval, 30_000_000_000);
    assert_eq!(serde_json::to_value(&parsed).unwrap(), check);
}

#[test]
fn a_null_config_is_an_empty_one() {
    let config = ImageConfig::parse(
        br#"{"architecture":"amd64","os":"linux","config":null,"history":null}"#,
    )
    .unwrap();
    assert_eq!(config.config, ContainerConfig::default());
    assert!(ImageConfig::parse(b"[]").is_err());
    assert!(
        ImageConfig::parse(br#"{"architecture":"a","rootfs":{"diff_ids":["../etc"]}}"#).is_err()
    );
}

proptest! {
    #[test]
    fn no_bytes_make_the_parser_panic(bytes: Vec<u8>) {
        let _ = ImageConfig::parse(&bytes);
    }
}
