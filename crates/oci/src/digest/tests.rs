use super::*;
use proptest::prelude::*;

const EMPTY: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

#[test]
fn the_digest_of_nothing_is_the_known_one() {
    assert_eq!(Digest::sha256(b"").as_str(), EMPTY);
    assert_eq!(Digest::sha256(b"").short(), "e3b0c44298fc");
    assert_eq!(Algorithm::Sha512.hasher().finish().hex().len(), 128);
}

#[test]
fn what_is_no_digest_is_refused_in_gos_words() {
    let check = |text: &str, expect: &str| {
        assert_eq!(
            text.parse::<Digest>().unwrap_err().to_string(),
            expect,
            "{text}"
        );
    };
    check("", "invalid checksum digest format");
    check("sha256", "invalid checksum digest format");
    check("sha256:abc", "invalid checksum digest length");
    check(&EMPTY.to_uppercase(), "invalid checksum digest format");
    check(
        &EMPTY.replace("e3b0", "E3B0"),
        "invalid checksum digest format",
    );
    check(
        &EMPTY.replace("sha256", "md5"),
        "unsupported digest algorithm",
    );
    check(
        &EMPTY.replace("e3b0", "../x"),
        "invalid checksum digest format",
    );
    assert!(serde_json::from_str::<Digest>("\"sha256:12\"").is_err());
}

proptest! {
    #[test]
    fn text_and_digest_are_one(bytes: Vec<u8>, cut: prop::sample::Index) {
        let whole = Digest::sha256(&bytes);
        let (a, b) = bytes.split_at(cut.index(bytes.len() + 1));
        let mut parts = Hasher::sha256();
        parts.update(a);
        parts.update(b);
        prop_assert_eq!(&parts.finish(), &whole);
        prop_assert!(whole.matches(&bytes));
        prop_assert_eq!(whole.to_string().parse::<Digest>().unwrap(), whole.clone());
        prop_assert_eq!(Digest::from_sha256_hex(whole.hex()).unwrap(), whole);
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in ".*") {
        let _ = text.parse::<Digest>();
    }
}
