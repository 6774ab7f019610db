use std::sync::Arc;

use serde_json::value::RawValue;

use super::*;
use crate::options::{ContainerOptions, Echo, LogOptions};
use crate::view::{GraphView, MountView, PlaceView, StateView};

fn view(name: &str, nth: u8, status: Status, code: i32) -> ContainerView {
    let empty = || RawValue::from_string("{}".into()).unwrap();
    let time = jiff::Timestamp::from_second(i64::from(nth)).unwrap();
    let mut options = ContainerOptions::default();
    options.labels.insert("role".into(), name.into());
    options.exposed_ports.insert("80/tcp".into());
    ContainerView {
        id: format!("{nth:02x}").repeat(32).parse().unwrap(),
        name: name.into(),
        created: time,
        path: "sh".into(),
        args: Vec::new(),
        image: Some(Digest::sha256(&[nth])),
        state: StateView {
            status,
            running: status == Status::Running,
            oom_killed: false,
            pid: 0,
            exit_code: code,
            error: String::new(),
            started_at: (status != Status::Created).then_some(time),
            finished_at: None,
        },
        options: Arc::new(options),
        echo: Arc::new(Echo {
            config: empty(),
            host_config: empty(),
            networking: empty(),
        }),
        log: LogOptions::default(),
        runtime: String::new(),
        resolv_conf_path: Default::default(),
        hostname_path: Default::default(),
        hosts_path: Default::default(),
        log_path: Default::default(),
        restart_count: 0,
        exec_ids: Vec::new(),
        graph: GraphView::default(),
        ports: Vec::new(),
        links: Vec::new(),
        linked_as: Vec::new(),
        published: Vec::new(),
        networks: vec![PlaceView {
            network: "none".into(),
            network_id: "c0ffee".into(),
            ..PlaceView::default()
        }],
        mounts: vec![MountView {
            kind: MountKind::Volume,
            name: format!("{name}-data"),
            source: String::new(),
            destination: "/data".into(),
            driver: "local".into(),
            mode: String::new(),
            read_write: true,
            propagation: String::new(),
        }],
        size: None,
    }
}

fn views() -> Vec<ContainerView> {
    vec![
        view("one", 1, Status::Exited, 3),
        view("two", 2, Status::Running, 0),
        view("three", 3, Status::Created, 0),
        view("four", 4, Status::Exited, 0),
    ]
}

fn run(all: bool, limit: Option<usize>, filters: &[(&str, &[&str])]) -> Result<Vec<String>> {
    let filters = filters.iter().map(|(key, values)| {
        (
            (*key).to_owned(),
            values.iter().map(|v| (*v).to_owned()).collect(),
        )
    });
    let query = ListQuery {
        all,
        limit,
        size: false,
        filters: filters.collect(),
    };
    let descendants = |name: &str| {
        if name == "base" {
            vec![Digest::sha256(&[1]), Digest::sha256(&[2])]
        } else {
            Vec::new()
        }
    };
    Ok(select(views(), &query, &descendants)?
        .into_iter()
        .map(|v| v.name)
        .collect())
}

#[test]
fn selects_and_orders() {
    let check = |all, limit, filters: &[(&str, &[&str])], expect: &[&str]| {
        assert_eq!(run(all, limit, filters).unwrap(), expect, "{filters:?}");
    };
    check(false, None, &[], &["two"]);
    check(true, None, &[], &["four", "three", "two", "one"]);
    check(false, Some(2), &[], &["four", "three"]);
    check(
        false,
        None,
        &[("status", &["exited", "created"])],
        &["four", "three", "one"],
    );
    check(true, None, &[("exited", &["0"])], &["four"]);
    check(true, None, &[("exited", &["3", "0"])], &["four", "one"]);
    check(true, None, &[("name", &["^/t"])], &["three", "two"]);
    check(true, None, &[("name", &["^one$", "ou"])], &["four", "one"]);
    check(true, None, &[("name", &["["])], &[]);
    check(true, None, &[("id", &["02", "0303"])], &["three", "two"]);
    check(true, None, &[("id", &["0"])], &[]);
    check(true, None, &[("label", &["role", "role=one"])], &["one"]);
    check(true, None, &[("ancestor", &["base"])], &["two", "one"]);
    check(true, None, &[("ancestor", &["nope"])], &[]);
    check(true, None, &[("before", &["three"])], &["two", "one"]);
    check(true, None, &[("since", &["/two"])], &["four", "three"]);
    check(true, None, &[("volume", &["one-data"])], &["one"]);
    check(
        true,
        None,
        &[("volume", &["/data"]), ("name", &["two"])],
        &["two"],
    );
    check(
        true,
        None,
        &[("network", &["none"])],
        &["four", "three", "two", "one"],
    );
    check(
        true,
        None,
        &[("network", &["c0f"]), ("name", &["two"])],
        &["two"],
    );
    check(true, None, &[("network", &["bridge"])], &[]);
    check(true, Some(1), &[("expose", &["70-90"])], &["four"]);
    check(true, None, &[("expose", &["80/udp"])], &[]);
    check(true, None, &[("publish", &["80"])], &[]);
    check(true, None, &[("health", &["healthy"])], &[]);
    check(
        false,
        None,
        &[("health", &["none"]), ("is-task", &["false"])],
        &["two"],
    );
    check(true, None, &[("is-task", &["true"])], &[]);
}

#[test]
fn refuses_in_dockers_words() {
    let check = |key: &str, value: &str, text: &str| {
        assert_eq!(
            run(true, None, &[(key, &[value])]).unwrap_err().to_string(),
            text
        );
    };
    check("foo", "bar", "invalid filter 'foo'");
    check(
        "status",
        "xyz",
        "invalid filter 'status=xyz': invalid value for state (xyz): must be one of created, running, paused, restarting, removing, exited, dead",
    );
    check(
        "health",
        "x",
        "invalid filter 'health=x': invalid value for health (x): must be one of none, starting, healthy, unhealthy",
    );
    check(
        "exited",
        "x",
        "invalid filter 'exited=x': strconv.Atoi: parsing \"x\": invalid syntax",
    );
    check("is-task", "q", "invalid filter 'is-task=[q]'");
    check("before", "nope", "No such container: nope");
    check(
        "publish",
        "abc",
        "error while looking up for publish abc: strconv.ParseUint: parsing \"abc\": invalid syntax",
    );
}
