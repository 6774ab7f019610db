//! Datagrams of the kernel, as everything that reads them here takes them: devices, addresses, routes, chains, connections, errors. No panic, and
//! never more messages than there can be.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let read = network::answers::read(data);
    assert!(read.messages <= data.len() / 16 && read.understood <= read.messages * 8);
});
