use super::*;

fn refusal(change: impl FnOnce(&mut ContainerOptions)) -> String {
    let mut options = ContainerOptions::default();
    change(&mut options);
    match check(&options, &Config::new("/d", "/e", "/s")) {
        Ok(()) => "accepted".to_owned(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_plain_request_passes() {
    assert_eq!(refusal(|_| ()), "accepted");
}

#[test]
fn docker_s_own_refusals_keep_their_words() {
    assert_eq!(
        refusal(|o| o.host.resources.memory = 1 << 20),
        "Minimum memory limit allowed is 6MB"
    );
    assert_eq!(
        refusal(|o| o.host.resources.memory_swap = 10 << 20),
        "You should always set the Memory limit when using Memoryswap limit, see usage"
    );
    assert_eq!(
        refusal(|o| o.host.runtime = "foo".into()),
        "unknown or invalid runtime name: foo"
    );
    assert_eq!(
        refusal(|o| o.working_dir = "rel".into()),
        "the working directory 'rel' is invalid, it needs to be an absolute path"
    );
    assert_eq!(
        refusal(|o| o.host.oom_score_adj = 2000),
        "Invalid value 2000, range for oom score adj is [-1000, 1000]"
    );
    assert_eq!(
        refusal(|o| o.host.log.options.extend([("foo".into(), "bar".into())])),
        "unknown log opt 'foo' for json-file log driver"
    );
    assert_eq!(
        refusal(|o| o.stop_signal = "FOO".into()),
        "invalid signal: FOO"
    );
}

#[test]
fn what_is_not_here_yet_is_refused_by_name() {
    for (text, name) in [
        (
            refusal(|o| o.host.restart.name = "always".into()),
            "--restart",
        ),
        (
            refusal(|o| {
                o.host.resources.device_requests.push("nvidia".into());
            }),
            "--gpus",
        ),
        (
            refusal(|o| {
                o.healthcheck = Some(crate::options::Healthcheck {
                    test: vec!["CMD".into()],
                    ..Default::default()
                });
            }),
            "--health-cmd",
        ),
    ] {
        assert!(
            text.contains(name) && text.contains("not supported"),
            "{text}"
        );
    }
}

#[test]
fn the_hosts_file_gets_addresses_and_whole_lines() {
    let with = |entry: &str| refusal(|o| o.host.extra_hosts = vec![entry.into()]);
    for good in [
        "a:1.2.3.4",
        "a:::1",
        "a:[::1]",
        "a:host-gateway",
        "a b:1.2.3.4",
    ] {
        assert_eq!(with(good), "accepted", "{good}");
    }
    assert_eq!(with("a"), "bad format for add-host: \"a\"");
    assert_eq!(with(":1.2.3.4"), "bad format for add-host: \":1.2.3.4\"");
    assert_eq!(
        with("a:1.2.3.4\n6.6.6.6 bank"),
        "invalid IP address in add-host: \"1.2.3.4\\n6.6.6.6 bank\""
    );
    assert!(with("a\n6.6.6.6 bank:1.2.3.4").starts_with("bad format"));
}

#[test]
fn what_belongs_to_a_namespace_is_not_said_in_another_one_s_mode() {
    let joins = |change: fn(&mut ContainerOptions)| {
        refusal(|o| {
            o.host.network_mode = "container:web".into();
            change(o);
        })
    };
    assert_eq!(joins(|_| ()), "accepted");
    assert_eq!(
        joins(|o| o.host.dns = vec!["1.1.1.1".into()]),
        "conflicting options: dns and the network mode"
    );
    assert_eq!(
        joins(|o| o.host.publish_all_ports = true),
        "conflicting options: port publishing and the container type network mode"
    );
}
