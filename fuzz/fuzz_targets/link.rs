//! `Link` as registries send it: a target is a part of the header, between its brackets.
#![no_main]

use libfuzzer_sys::fuzz_target;
use registry::client::next_link;

fuzz_target!(|text: &str| {
    if let Some(target) = next_link(text) {
        assert!(text.contains(&format!("<{target}>")));
    }
});
