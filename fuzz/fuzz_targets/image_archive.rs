//! `load` of whatever a stranger sends: it may fail, but never panics, and a store that opened still opens.
#![no_main]

use image::Store;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let root = tempfile::tempdir().expect("a folder");
    let store = Store::open(root.path()).expect("an empty store");
    let _ = store.load(data, &[], &mut |_| {});
    drop(store);
    Store::open(root.path()).expect("the store after a load");
});
