use super::super::tests::{A, AAAA, PTR, named, query, records};
use super::*;

fn tables() -> [Table; 2] {
    let mut front = Table::new("front");
    front.set(named(1, &["web", "db", "aaaa"], &["172.18.0.2", "fd00::2"]));
    front.set(named(2, &["api", "db"], &["172.18.0.3"]));
    front.set(named(3, &["db"], &["172.18.0.9"]));
    let mut back = Table::new("back.end");
    back.set(named(4, &["Web", "www"], &["172.19.0.2"]));
    back.set(named(5, &["a.b"], &["172.19.0.3"]));
    [front, back]
}

/// The reply's code and the records' data.
fn ask(name: &str, kind: u16) -> (u8, Vec<Vec<u8>>) {
    let query = query(name, kind);
    let tables = tables();
    let tables: Vec<&Table> = tables.iter().collect();
    match answer_host(&query, Transport::Udp, "tare", &tables, 0) {
        Answer::Reply(reply) => (reply[3] & 0x0f, records(&query, &reply)),
        other => panic!("{other:?}"),
    }
}

fn check(name: &str, expect: (u8, &[[u8; 4]])) {
    let (code, found) = ask(name, A);
    let mut found: Vec<&[u8]> = found.iter().map(Vec::as_slice).collect();
    found.sort();
    let expected: Vec<&[u8]> = expect.1.iter().map(<[u8; 4]>::as_slice).collect();
    assert_eq!((code, found), (expect.0, expected), "{name}");
}

#[test]
fn containers_have_names_below_the_domain() {
    // A container in two networks has the addresses of both.
    check("web.tare", (0, &[[172, 18, 0, 2], [172, 19, 0, 2]]));
    check("WEB.Front.Tare", (0, &[[172, 18, 0, 2]]));
    check("web.back.end.tare", (0, &[[172, 19, 0, 2]]));
    check("a.b.tare", (0, &[[172, 19, 0, 3]]));
    check("a.b.back.end.tare", (0, &[[172, 19, 0, 3]]));
    // An alias needs its network, and gives way to a name.
    check("www.tare", (3, &[]));
    check("www.back.end.tare", (0, &[[172, 19, 0, 2]]));
    check("db.tare", (0, &[[172, 18, 0, 9]]));
    check(
        "db.front.tare",
        (0, &[[172, 18, 0, 2], [172, 18, 0, 3], [172, 18, 0, 9]]),
    );
}

#[test]
fn what_is_not_there_is_told_from_what_is_not_ours() {
    check("nobody.tare", (3, &[]));
    check("nobody.front.tare", (3, &[]));
    check("x.web.tare", (3, &[]));
    // Something is below them.
    for name in [
        "tare",
        "front.tare",
        "back.end.tare",
        "end.tare",
        "b.tare",
        "b.back.end.tare",
    ] {
        check(name, (0, &[]));
    }
    for name in ["example.org", "xtare", "web.tare.example", "web"] {
        check(name, (5, &[]));
    }
    assert_eq!(ask("web.tare", 15), (0, vec![]));
    assert_eq!(ask("api.tare", AAAA), (0, vec![]));
    assert_eq!(ask("web.front.tare", AAAA).1.len(), 1);
}

#[test]
fn addresses_have_names_too() {
    let (code, found) = ask("2.0.18.172.in-addr.arpa", PTR);
    assert_eq!(
        (code, found),
        (0, vec![b"\x03web\x05front\x04tare\0".to_vec()])
    );
    assert_eq!(ask("1.0.18.172.in-addr.arpa", PTR), (5, vec![]));
    assert_eq!(ask("x.in-addr.arpa", PTR), (5, vec![]));
    assert_eq!(ask("web.tare", PTR), (0, vec![]));
}
