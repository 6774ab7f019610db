//! Manifests, indexes and configs as registries and archives send them: what parses is written so that it parses to the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use oci::{ImageConfig, Index, Manifest};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(manifest) = Manifest::parse(bytes) {
        assert_eq!(
            Manifest::parse(&manifest.to_bytes()).as_ref().ok(),
            Some(&manifest)
        );
    }
    if let Ok(index) = Index::parse(bytes) {
        assert_eq!(Index::parse(&index.to_bytes()).as_ref().ok(), Some(&index));
        for entry in &index.manifests {
            let _ = (
                entry.is_attestation(),
                entry.platform.as_ref().map(ToString::to_string),
            );
        }
    }
    if let Ok(config) = ImageConfig::parse(bytes) {
        assert_eq!(
            ImageConfig::parse(&config.to_bytes()).as_ref().ok(),
            Some(&config)
        );
        let _ = config.platform().to_string();
    }
});
