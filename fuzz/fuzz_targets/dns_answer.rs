//! What name servers elsewhere say to a question of ours: nobody but who was asked is believed, and what is handed on fits. The input is
//! the question behind its length in two bytes, and the answer.
#![no_main]

use libfuzzer_sys::fuzz_target;
use network::dns;

fuzz_target!(|data: &[u8]| {
    let Some((length, rest)) = data.split_first_chunk::<2>() else {
        return;
    };
    let length = usize::from(u16::from_be_bytes(*length)).min(rest.len());
    let (query, reply) = rest.split_at(length);
    let _ = dns::is_failure(reply);
    if dns::is_answer(query, reply) {
        assert!(query[..2] == reply[..2] && dns::parse(query).is_ok());
        assert!(dns::parse(reply).is_err(), "an answer is no question");
    }
    if !dns::has_room(query, reply.len())
        && let Some(short) = dns::truncate(query)
    {
        // It goes back in place of the answer: the asker has to take it for one.
        assert!(short.len() <= query.len() + 11 && dns::is_answer(query, &short));
    }
});
