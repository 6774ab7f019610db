//! One layer applied by way of `import`. Nothing may appear beside the store's own root.
#![no_main]

use image::{ImportOptions, Store};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let root = tempfile::tempdir().expect("a folder");
    let inside = root.path().join("data");
    std::fs::create_dir(&inside).expect("mkdir");
    let store = Store::open(&inside).expect("an empty store");
    let _ = store.import(data, &ImportOptions::default());
    let beside = std::fs::read_dir(root.path()).expect("read").count();
    assert_eq!(beside, 1, "a layer has left its root");
});
