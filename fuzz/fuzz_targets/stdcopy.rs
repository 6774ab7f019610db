//! The frames of a hijacked stream: however the bytes are cut, the same payloads come out.
#![no_main]

use api::stdcopy::{Decoder, StreamKind, encode};
use libfuzzer_sys::fuzz_target;

type Payload = (u8, Vec<u8>);

/// Everything that comes out when the input comes in pieces of `size`; None where it is malformed.
fn decode(data: &[u8], size: usize) -> Option<Vec<Payload>> {
    let mut decoder = Decoder::default();
    let mut all: Vec<Payload> = Vec::new();
    for piece in data.chunks(size.max(1)) {
        let mut input = piece;
        while let Some((kind, part)) = decoder.next(&mut input).ok()? {
            match all.last_mut() {
                Some((last, bytes)) if *last == kind as u8 => bytes.extend_from_slice(part),
                _ => all.push((kind as u8, part.to_vec())),
            }
        }
    }
    Some(all)
}

fuzz_target!(|data: &[u8]| {
    assert_eq!(decode(data, data.len()), decode(data, 1));
    assert_eq!(decode(data, 7), decode(data, 1));
    let mut framed = Vec::new();
    encode(StreamKind::Stdout, data, &mut framed);
    let expected = if data.is_empty() {
        Vec::new()
    } else {
        vec![(StreamKind::Stdout as u8, data.to_vec())]
    };
    assert_eq!(decode(&framed, 3), Some(expected));
});
