//! `WWW-Authenticate` as registries send it: whatever comes, the list is bounded, and names are in lower case.
#![no_main]

use libfuzzer_sys::fuzz_target;
use registry::client::challenges;

fuzz_target!(|bytes: &[u8]| {
    let found = challenges(bytes);
    assert!(found.len() <= 16);
    for challenge in found {
        assert!(!challenge.scheme.is_empty());
        assert!(challenge.parameters.len() <= 32);
        assert!(!challenge.scheme.bytes().any(|b| b.is_ascii_uppercase()));
    }
});
