use super::*;

fn event(action: &str, second: i64) -> Event {
    let attributes = [("name", "web"), ("image", "nginx:1"), ("tier", "front")];
    Event {
        subject: Subject::Container,
        action: action.into(),
        actor: "abcdef".into(),
        attributes: attributes.map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
        time: Timestamp::from_second(second).unwrap(),
    }
}

fn query(filters: &[(&str, &[&str])]) -> EventQuery {
    let filters = filters.iter().map(|(key, values)| {
        let values = values.iter().map(|v| (*v).to_owned()).collect();
        ((*key).to_owned(), values)
    });
    EventQuery {
        filters: filters.collect(),
        ..EventQuery::default()
    }
}

#[test]
fn filters_match_as_docker_has_them() {
    let check = |filters: &[(&str, &[&str])], expect: bool| {
        let matched = query(filters).matches(&event("exec_create: sh", 1));
        assert_eq!(matched, expect, "{filters:?}");
    };
    check(&[], true);
    check(&[("container", &["abc"])], true);
    check(&[("container", &["we", "nope"])], true);
    check(&[("container", &["bc"])], false);
    check(&[("event", &["exec_create"])], true);
    check(&[("event", &["exec"])], false);
    check(&[("event", &["exec_create: sh"])], true);
    check(&[("type", &["image"])], false);
    check(
        &[("type", &["image", "container"]), ("scope", &["local"])],
        true,
    );
    check(&[("label", &["tier", "tier=front"])], true);
    check(&[("label", &["tier", "tier=back"])], false);
    check(&[("image", &["nginx"])], true);
    check(&[("image", &["nginx:1"])], true);
    check(&[("image", &["ngin"])], false);
    check(&[("volume", &["abc"])], false);
}

#[test]
fn refuses_what_makes_no_sense() {
    let bus = Bus::new();
    let text = bus
        .subscribe(query(&[("foo", &["x"])]))
        .unwrap_err()
        .to_string();
    assert_eq!(text, "invalid filter 'foo'");
    let query = EventQuery {
        since: Some(Timestamp::from_second(7).unwrap()),
        until: Some(Timestamp::from_second(5).unwrap()),
        ..EventQuery::default()
    };
    let text = bus.subscribe(query).unwrap_err().to_string();
    assert_eq!(text, "`since` time (7) cannot be after `until` time (5)");
}

#[tokio::test]
async fn the_past_comes_before_the_present_and_neither_twice() {
    let bus = Bus::new();
    bus.publish(event("create", 1));
    bus.publish(event("start", 2));
    let since = EventQuery {
        since: Some(Timestamp::from_second(2).unwrap()),
        ..EventQuery::default()
    };
    let mut stream = bus.subscribe(since).unwrap();
    let mut present = bus.subscribe(EventQuery::default()).unwrap();
    bus.publish(event("die", 3));
    for expect in ["start", "die"] {
        assert_eq!(stream.next().await.unwrap().unwrap().action, expect);
    }
    assert_eq!(present.next().await.unwrap().unwrap().action, "die");
    drop(bus);
    assert!(stream.next().await.is_none());
}

#[tokio::test]
async fn ends_at_until_even_when_nothing_happens() {
    let bus = Bus::new();
    bus.publish(event("create", 1));
    let query = EventQuery {
        until: Some(Timestamp::from_second(9).unwrap()),
        ..EventQuery::default()
    };
    let mut stream = bus.subscribe(query).unwrap();
    assert_eq!(stream.next().await.unwrap().unwrap().action, "create");
    assert!(stream.next().await.is_none());
}

#[tokio::test]
async fn a_slow_listener_is_told_of_its_loss() {
    let bus = Bus::new();
    let mut stream = bus.subscribe(EventQuery::default()).unwrap();
    for second in 0..=BACKLOG as i64 {
        bus.publish(event("create", second));
    }
    assert!(stream.next().await.unwrap().is_err());
}

#[test]
fn tags_are_not_ports() {
    assert_eq!(untagged("a/b:1"), "a/b");
    assert_eq!(untagged("host:5000/a"), "host:5000/a");
    assert_eq!(untagged("a"), "a");
}
