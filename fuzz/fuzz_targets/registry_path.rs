//! Paths of requests to our registry: what is taken holds nothing that climbs.
#![no_main]

use libfuzzer_sys::fuzz_target;
use registry::server::target::Target;

fuzz_target!(|path: &str| {
    let Ok(target) = Target::parse(path) else {
        return;
    };
    let (Target::Tags(name)
    | Target::Manifest(name, _)
    | Target::Blob(name, _)
    | Target::Uploads(name)
    | Target::Upload(name, _)
    | Target::Referrers(name, _)
    | Target::Page(name)
    | Target::ManifestPage(name, _)) = &target
    else {
        return;
    };
    let plain = |part: &str| !part.is_empty() && part != "." && part != ".." && part.is_ascii();
    assert!(
        name.as_str().split('/').all(plain),
        "{path:?} gave {name:?}"
    );
    assert!(
        !name.as_str().contains(['%', '\\', '\0', ':', '@']),
        "{path:?} gave {name:?}"
    );
});
