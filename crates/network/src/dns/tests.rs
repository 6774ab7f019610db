use proptest::prelude::*;

use super::*;
use crate::Identity;

pub(super) fn id(number: u8) -> Identity {
    format!("{number:02x}").repeat(32).parse().unwrap()
}

pub(super) fn named(number: u8, names: &[&str], addresses: &[&str]) -> Named {
    Named {
        endpoint: id(number),
        names: names.iter().map(|&name| name.to_owned()).collect(),
        addresses: addresses.iter().map(|a| a.parse().unwrap()).collect(),
    }
}

fn front() -> Table {
    let mut table = Table::new("Front");
    table.set(named(
        1,
        &["web", "www", "0a0b0c0d0e0f"],
        &["172.18.0.2", "fd00::2"],
    ));
    table.set(named(2, &["api_1", "api"], &["172.18.0.3"]));
    table.set(named(3, &["api_2", "API"], &["172.18.0.4"]));
    table
}

pub(super) fn query(name: &str, kind: u16) -> Vec<u8> {
    let mut bytes = vec![0xab, 0xcd, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        bytes.push(label.len() as u8);
        bytes.extend_from_slice(label.as_bytes());
    }
    bytes.push(0);
    bytes.extend_from_slice(&kind.to_be_bytes());
    bytes.extend_from_slice(&[0, 1]);
    bytes
}

/// With the record that says how large a datagram may be.
fn edns(mut query: Vec<u8>, size: u16) -> Vec<u8> {
    query[11] = 1;
    query.extend_from_slice(&[0, 0, 41]);
    query.extend_from_slice(&size.to_be_bytes());
    query.extend_from_slice(&[0; 6]);
    query
}

pub(super) const A: u16 = 1;
pub(super) const AAAA: u16 = 28;
pub(super) const PTR: u16 = 12;
const MX: u16 = 15;

fn reply(query: &[u8], tables: &[&Table], turn: usize) -> Option<Vec<u8>> {
    match answer(query, Transport::Udp, tables, turn) {
        Answer::Reply(reply) => Some(reply),
        Answer::Forward => None,
        Answer::Ignore => panic!("ignored"),
    }
}

/// The data of each record; the record's head is looked at.
pub(super) fn records(query: &[u8], reply: &[u8]) -> Vec<Vec<u8>> {
    assert_eq!(reply[..2], query[..2]);
    assert_eq!(reply[2] & 0x81, 0x81);
    let end = parse(query).unwrap();
    let mut at = query.len();
    if query[11] == 1 {
        at -= 11;
    }
    let kind = end.question.kind;
    let mut found = Vec::new();
    for _ in 0..u16::from_be_bytes([reply[6], reply[7]]) {
        assert_eq!(reply[at..at + 2], [0xc0, 12]);
        let number = u16::from_be_bytes([reply[at + 2], reply[at + 3]]);
        assert!(matches!(
            (kind, number),
            (RecordType::A, A) | (RecordType::Aaaa, AAAA) | (RecordType::Ptr, PTR)
        ));
        let length = usize::from(u16::from_be_bytes([reply[at + 10], reply[at + 11]]));
        found.push(reply[at + 12..at + 12 + length].to_vec());
        at += 12 + length;
    }
    if query[11] == 1 {
        at += 11;
    }
    assert_eq!(reply.len(), at);
    found
}

fn ask(name: &str, kind: u16, tables: &[&Table]) -> Option<Vec<Vec<u8>>> {
    let query = query(name, kind);
    reply(&query, tables, 0).map(|reply| records(&query, &reply))
}

#[test]
fn names_aliases_and_ids_in_any_case() {
    let front = front();
    let web = Some(vec![vec![172, 18, 0, 2]]);
    for name in ["web", "WWW", "0a0b0c0d0e0f", "web.front", "Www.FRONT"] {
        assert_eq!(ask(name, A, &[&front]), web, "{name}");
    }
    for name in ["nobody", "web.back", "front", "web.front.example", "xweb"] {
        assert_eq!(ask(name, A, &[&front]), None, "{name}");
    }
}

#[test]
fn a_family_that_is_not_there_is_an_empty_answer() {
    let front = front();
    assert_eq!(ask("web", AAAA, &[&front]).unwrap()[0][..2], [0xfd, 0]);
    assert_eq!(ask("api", AAAA, &[&front]), Some(Vec::new()));
    assert_eq!(ask("api", MX, &[&front]), Some(Vec::new()));
    assert_eq!(ask("example.org", MX, &[&front]), None);
}

#[test]
fn addresses_take_turns() {
    let front = front();
    let query = query("api", A);
    let firsts: Vec<_> = (0..4)
        .map(|turn| {
            let found = records(&query, &reply(&query, &[&front], turn).unwrap());
            assert_eq!(found.len(), 2);
            found[0][3]
        })
        .collect();
    assert_eq!(firsts, [3, 4, 3, 4]);
}

#[test]
fn addresses_have_names() {
    let front = front();
    let name = b"\x03web\x05front\x00".to_vec();
    assert_eq!(
        ask("2.0.18.172.in-addr.arpa", PTR, &[&front]),
        Some(vec![name.clone()])
    );
    let six = format!("2.{}d.f.ip6.arpa", "0.".repeat(29));
    assert_eq!(ask(&six, PTR, &[&front]), Some(vec![name]));
    for other in [
        "9.0.18.172.in-addr.arpa",
        "0.18.172.in-addr.arpa",
        "1.2.3.4.5.in-addr.arpa",
        "300.0.18.172.in-addr.arpa",
    ] {
        assert_eq!(ask(other, PTR, &[&front]), None, "{other}");
    }
}

#[test]
fn only_the_answer_to_what_was_asked_is_one() {
    let asked = query("web.example", A);
    let mut good = asked.clone();
    good[2] |= 0x80;
    assert!(is_answer(&asked, &good));
    let mut upper = good.clone();
    upper[13] = b'W';
    assert!(is_answer(&asked, &upper));
    let damaged = |at: usize, to: u8| {
        let mut reply = good.clone();
        reply[at] = to;
        reply
    };
    let last = asked.len() - 1;
    for wrong in [
        asked.clone(),
        damaged(0, 0),
        damaged(5, 2),
        damaged(13, b'x'),
        damaged(last, 3),
        damaged(last - 2, AAAA as u8),
        good[..20].to_vec(),
        Vec::new(),
    ] {
        assert!(!is_answer(&asked, &wrong), "{wrong:?}");
    }
    let mut refused = good[..12].to_vec();
    (refused[3], refused[5]) = (5, 0);
    assert!(is_answer(&asked, &refused) && is_failure(&refused) && !is_failure(&good));
    assert!(has_room(&asked, 512) && !has_room(&asked, 513));
    assert!(has_room(&edns(asked, 4096), 4096));
}

#[test]
fn a_table_without_a_name_names_no_address() {
    let mut private = Table::new("");
    private.set(named(1, &["db"], &["10.0.0.1"]));
    assert_eq!(ask("db", A, &[&private]), Some(vec![vec![10, 0, 0, 1]]));
    assert_eq!(ask("1.0.0.10.in-addr.arpa", PTR, &[&private]), None);
}

#[test]
fn networks_do_not_see_each_other_and_the_first_wins() {
    let front = front();
    let mut back = Table::new("back");
    back.set(named(9, &["web", "db"], &["172.19.0.2"]));
    assert_eq!(ask("db", A, &[&front]), None);
    assert_eq!(
        ask("db", A, &[&front, &back]),
        Some(vec![vec![172, 19, 0, 2]])
    );
    assert_eq!(
        ask("web", A, &[&front, &back]),
        Some(vec![vec![172, 18, 0, 2]])
    );
    assert_eq!(
        ask("web", A, &[&back, &front]),
        Some(vec![vec![172, 19, 0, 2]])
    );
    assert_eq!(
        ask("web.back", A, &[&front, &back]),
        Some(vec![vec![172, 19, 0, 2]])
    );
}

#[test]
fn names_that_are_taken_out_are_gone() {
    let mut front = front();
    assert!(front.remove(&id(2)));
    assert!(!front.remove(&id(2)));
    assert_eq!(ask("api_1", A, &[&front]), None);
    assert_eq!(ask("api", A, &[&front]), Some(vec![vec![172, 18, 0, 4]]));
    assert_eq!(ask("3.0.18.172.in-addr.arpa", PTR, &[&front]), None);
    // The same endpoint under other names.
    front.set(named(3, &["new"], &["172.18.0.9"]));
    assert_eq!(ask("api", A, &[&front]), None);
    assert_eq!(ask("new", A, &[&front]), Some(vec![vec![172, 18, 0, 9]]));
}

#[test]
fn a_datagram_is_not_outgrown() {
    let mut table = Table::new("n");
    for number in 0..200 {
        table.set(named(number, &["many"], &[&format!("172.18.1.{number}")]));
    }
    for (query, largest) in [
        (query("many", A), 512),
        (edns(query("many", A), 1000), 1000),
        (edns(query("many", A), 4096), 1232),
        (edns(query("many", A), 0), 512),
    ] {
        let reply = reply(&query, &[&table], 0).unwrap();
        assert!(
            reply.len() <= largest && reply.len() + 16 > largest,
            "{}",
            reply.len()
        );
        assert_eq!(reply[2] & 2, 2);
        let Answer::Reply(whole) = answer(&query, Transport::Tcp, &[&table], 0) else {
            panic!("no answer");
        };
        assert_eq!(records(&query, &whole).len(), 200);
        assert_eq!(whole[2] & 2, 0);
    }
}

#[test]
fn what_is_no_query_is_told_so_or_ignored() {
    let front = front();
    let check = |bytes: &[u8]| answer(bytes, Transport::Udp, &[&front], 0);
    let code = |bytes: &[u8]| match check(bytes) {
        Answer::Reply(reply) => reply[3] & 15,
        other => panic!("{other:?}"),
    };
    assert_eq!(check(&[]), Answer::Ignore);
    assert_eq!(check(&[0; 11]), Answer::Ignore);
    let mut answered = query("web", A);
    answered[2] |= 0x80;
    assert_eq!(check(&answered), Answer::Ignore);
    let mut update = query("web", A);
    update[2] |= 5 << 3;
    assert_eq!(code(&update), 4);
    let mut chaos = query("web", A);
    *chaos.last_mut().unwrap() = 3;
    assert_eq!(code(&chaos), 4);
    let mut two = query("web", A);
    two[5] = 2;
    assert_eq!(code(&two), 1);
    let mut pointer = query("web", A);
    pointer[12] = 0xc0;
    assert_eq!(code(&pointer), 1);
    assert_eq!(code(&query("web", A)[..15]), 1);
    assert_eq!(code(&query(&["abcdefgh"; 31].join("."), A)), 1);
    assert_eq!(servfail(&query("web", A)).unwrap()[3] & 15, 2);
    assert_eq!(truncate(&query("web", A)).unwrap()[2] & 2, 2);
    assert_eq!(servfail(&[]), None);
}

#[test]
fn a_dot_within_a_label_is_none_between_two() {
    let front = front();
    let mut bytes = query("web-front", A);
    let at = bytes.iter().position(|&b| b == b'-').unwrap();
    bytes[at] = b'.';
    assert_eq!(reply(&bytes, &[&front], 0), None);
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let front = front();
        for transport in [Transport::Udp, Transport::Tcp] {
            let _ = answer(&bytes, transport, &[&front], 3);
        }
        let _ = (servfail(&bytes), truncate(&bytes), is_answer(&query("web", A), &bytes), is_answer(&bytes, &bytes), has_room(&bytes, 600));
    }

    #[test]
    fn damaged_queries_make_no_damage(at in 0usize..60, byte in any::<u8>(), cut in 0usize..60) {
        let front = front();
        let mut bytes = edns(query("web.front", A), 1000);
        if let Some(there) = bytes.get_mut(at) { *there = byte; }
        bytes.truncate(bytes.len().saturating_sub(cut));
        if let Answer::Reply(reply) = answer(&bytes, Transport::Udp, &[&front], 0) {
            prop_assert!(reply.len() <= 1000 && reply[..2] == bytes[..2] && reply[2] & 0x80 != 0);
        }
    }

    #[test]
    fn a_table_is_what_was_put_in_last(steps in prop::collection::vec((0u8..5, 0u8..4, 0u8..4, any::<bool>()), 0..60)) {
        let mut table = Table::new("n");
        let mut model = std::collections::BTreeMap::new();
        for (number, name, host, add) in steps {
            if add {
                let entry = named(number, &[&format!("n{name}")], &[&format!("10.0.{number}.{host}")]);
                model.insert(number, entry.clone());
                table.set(entry);
            } else {
                prop_assert_eq!(table.remove(&id(number)), model.remove(&number).is_some());
            }
        }
        for name in 0..4 {
            let name = format!("n{name}");
            let wanted: Vec<_> = model.values().filter(|e| e.names[0] == name).flat_map(|e| e.addresses.clone()).collect();
            let found = table.find(&name).unwrap_or_default();
            prop_assert_eq!(found, wanted);
        }
    }
}
