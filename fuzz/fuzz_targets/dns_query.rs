//! What containers, and the host, send to our name server: it may be refused, but nothing panics, and an answer is one to this query and
//! fits.
#![no_main]

use libfuzzer_sys::fuzz_target;
use network::dns::{self, Answer, Named, Table, Transport};

fuzz_target!(|data: &[u8]| {
    let mut table = Table::new("front");
    table.set(Named {
        endpoint: "ab".repeat(32).parse().expect("an id"),
        names: vec!["web".into(), "a.b".into()],
        addresses: vec![[172, 18, 0, 2].into()],
    });
    for (transport, most) in [(Transport::Udp, 1232), (Transport::Tcp, 65535)] {
        let to_host = dns::answer_host(data, transport, "tare", &[&table], 1);
        assert!(to_host != Answer::Forward);
        for answer in [dns::answer(data, transport, &[&table], 1), to_host] {
            if let Answer::Reply(reply) = answer {
                assert!(reply.len() <= most.max(data.len()) && reply[..2] == data[..2]);
                assert!(dns::parse(data).is_err() || dns::is_answer(data, &reply));
            }
        }
    }
    let own = [dns::servfail(data), dns::truncate(data)];
    assert!(
        own.iter()
            .flatten()
            .all(|reply| dns::is_answer(data, reply))
    );
});
