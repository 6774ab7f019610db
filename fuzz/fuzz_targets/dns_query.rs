//! What containers send to their name server: it may be refused, but nothing panics, and an answer is one to this query and fits.
#![no_main]

use libfuzzer_sys::fuzz_target;
use network::dns::{self, Answer, Named, Table, Transport};

fuzz_target!(|data: &[u8]| {
    let mut table = Table::new("front");
    table.set(Named {
        endpoint: "ab".repeat(32).parse().expect("an id"),
        names: vec!["web".into()],
        addresses: vec![[172, 18, 0, 2].into()],
    });
    for (transport, most) in [(Transport::Udp, 1232), (Transport::Tcp, 65535)] {
        if let Answer::Reply(reply) = dns::answer(data, transport, &[&table], 1) {
            assert!(reply.len() <= most.max(data.len()) && reply[..2] == data[..2]);
        }
    }
    let _ = (dns::servfail(data), dns::truncate(data));
});
