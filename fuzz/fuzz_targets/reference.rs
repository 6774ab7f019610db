//! Image names: what parses is printed so that it parses to the same again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use oci::{AnyReference, Digest, Reference};

fuzz_target!(|text: &str| {
    let _ = AnyReference::parse(text);
    if let Ok(digest) = text.parse::<Digest>() {
        assert_eq!(digest.to_string(), text);
    }
    let Ok(reference) = Reference::parse(text) else {
        return;
    };
    for form in [reference.canonical(), reference.familiar()] {
        let again = Reference::parse(&form)
            .unwrap_or_else(|error| panic!("{text:?} gave {form:?}: {error}"));
        assert_eq!(again.canonical(), reference.canonical(), "{form:?}");
    }
});
