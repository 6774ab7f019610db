//! The protocol between daemon and shim: a length is bounded before a byte is kept, and pieces make no difference.
#![no_main]

use libfuzzer_sys::fuzz_target;
use shim::protocol::Decoder;

fn decode(data: &[u8], size: usize) -> (Vec<(u8, Vec<u8>)>, bool) {
    let mut decoder = Decoder::default();
    let mut frames = Vec::new();
    for piece in data.chunks(size.max(1)) {
        decoder.push(piece);
        loop {
            match decoder.next_frame() {
                Ok(Some(frame)) => frames.push((frame.byte, frame.payload.to_vec())),
                Ok(None) => break,
                Err(_) => return (frames, false),
            }
        }
    }
    (frames, true)
}

fuzz_target!(|data: &[u8]| {
    let whole = decode(data, data.len());
    assert_eq!(whole, decode(data, 1));
});
