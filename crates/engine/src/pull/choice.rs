//! Which image of an index is for a platform.

use oci::{Descriptor, Index, Platform};

/// The best entry: the one that fits best, and of equals the first. Attestations are no images; an entry without a
/// platform fits behind all others, for it may be anything.
pub(super) fn best<'i>(index: &'i Index, platform: &Platform) -> Option<&'i Descriptor> {
    let images = index.manifests.iter().filter(|d| !d.is_attestation());
    let ranked = images.filter_map(|entry| match &entry.platform {
        Some(of_entry) => platform.rank(of_entry).map(|rank| (rank, entry)),
        None => Some((usize::MAX, entry)),
    });
    ranked.min_by_key(|(rank, _)| *rank).map(|(_, entry)| entry)
}

/// This machine's platform as Docker writes it in its errors: arm64 with its variant. One that was asked for by name is told
/// as it was asked for.
pub(super) fn shown(platform: &Platform) -> String {
    match (platform.architecture.as_str(), &platform.variant) {
        ("arm64", None) => format!("{platform}/v8"),
        ("arm", None) => format!("{platform}/v7"),
        _ => platform.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(platform: Option<&str>, content: &str) -> Descriptor {
        let mut entry = Descriptor::of(oci::media_type::OCI_MANIFEST, content.as_bytes());
        entry.platform = platform.map(|p| p.parse().unwrap());
        entry
    }

    #[test]
    fn the_best_fit_wins() {
        let index = Index::new(vec![
            entry(Some("linux/arm/v6"), "a"),
            entry(Some("linux/arm/v7"), "b"),
            entry(Some("linux/amd64"), "c"),
        ]);
        let chosen = |platform: &str| {
            best(&index, &platform.parse().unwrap()).map(|entry| entry.digest.clone())
        };
        assert_eq!(
            chosen("linux/arm/v7"),
            Some(index.manifests[1].digest.clone())
        );
        assert_eq!(
            chosen("linux/arm/v6"),
            Some(index.manifests[0].digest.clone())
        );
        assert_eq!(
            chosen("linux/arm64"),
            Some(index.manifests[1].digest.clone())
        );
        assert_eq!(chosen("linux/arm64/v7"), None);
        assert_eq!(chosen("linux/s390x"), None);
    }

    #[test]
    fn attestations_are_no_images() {
        let mut attestation = entry(Some("linux/amd64"), "x");
        attestation.annotations.insert(
            "vnd.docker.reference.type".into(),
            "attestation-manifest".into(),
        );
        let index = Index::new(vec![attestation, entry(None, "y")]);
        let chosen = best(&index, &Platform::linux("amd64")).unwrap();
        assert_eq!(chosen.digest, index.manifests[1].digest);
    }
}
