use super::*;
use proptest::prelude::*;

const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

#[test]
fn names_normalise_as_dockers() {
    let check = |text: &str, canonical: &str, familiar: &str| {
        let reference = Reference::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"));
        assert_eq!(reference.canonical(), canonical, "{text}");
        assert_eq!(reference.familiar(), familiar, "{text}");
    };
    check("busybox", "docker.io/library/busybox", "busybox");
    check(
        "busybox:1.36",
        "docker.io/library/busybox:1.36",
        "busybox:1.36",
    );
    check("docker.io/busybox", "docker.io/library/busybox", "busybox");
    check(
        "index.docker.io/library/busybox",
        "docker.io/library/busybox",
        "busybox",
    );
    check("user/app", "docker.io/user/app", "user/app");
    check(
        "library/user/app",
        "docker.io/library/user/app",
        "library/user/app",
    );
    check("localhost/app", "localhost/app", "localhost/app");
    check(
        "localhost:5000/app:v1",
        "localhost:5000/app:v1",
        "localhost:5000/app:v1",
    );
    check("Host/app", "Host/app", "Host/app");
    check(
        "[fd00::1]:5000/app",
        "[fd00::1]:5000/app",
        "[fd00::1]:5000/app",
    );
    check(
        "ghcr.io/a/b__c/d-e.f:T_x.1",
        "ghcr.io/a/b__c/d-e.f:T_x.1",
        "ghcr.io/a/b__c/d-e.f:T_x.1",
    );
    check(
        &format!("a:b@{DIGEST}"),
        &format!("docker.io/library/a:b@{DIGEST}"),
        &format!("a:b@{DIGEST}"),
    );
    check("docker.io/a.b/c", "docker.io/a.b/c", "docker.io/a.b/c");
}

#[test]
fn what_is_no_name_is_refused_in_dockers_words() {
    let check = |text: &str, expect: &str| {
        assert_eq!(
            Reference::parse(text).map_err(|e| e.to_string()),
            Err(expect.to_owned()),
            "{text}"
        );
    };
    check(
        "Foo",
        "invalid reference format: repository name (library/Foo) must be lowercase",
    );
    check(
        "a/Foo:x",
        "invalid reference format: repository name (a/Foo) must be lowercase",
    );
    for text in [
        "",
        ":",
        "a:",
        "a@",
        "-x",
        "a--",
        "a//b",
        "/a",
        "a/",
        "a..b",
        "a___b",
        "a b",
        "a:b:c",
        "http://x/y",
        "a:-x",
        "..",
        "../x",
        "a/../b",
        "x.y:port/z",
        "[::1/x",
        "[zz]/x",
        "a@sha256:123",
        "-h.x/y",
        "é",
    ] {
        check(text, "invalid reference format");
    }
    check(
        &"a".repeat(64),
        &format!(
            "invalid repository name ({}), cannot specify 64-byte hexadecimal strings",
            "a".repeat(64)
        ),
    );
    check(
        "g/".repeat(200).trim_end_matches('/'),
        "repository name must not be more than 255 characters",
    );
    check(
        &format!("a:{}", "t".repeat(129)),
        "invalid reference format",
    );
    check(
        &format!("a@{}", DIGEST.replace("sha256", "md6")),
        "unsupported digest algorithm",
    );
    check(&format!("a@{DIGEST}0"), "invalid checksum digest length");
}

#[test]
fn ids_and_names_are_told_apart() {
    assert!(matches!(
        AnyReference::parse(DIGEST),
        Ok(AnyReference::Id(_))
    ));
    assert!(matches!(
        AnyReference::parse(&DIGEST[7..]),
        Ok(AnyReference::Id(_))
    ));
    assert!(matches!(
        AnyReference::parse("e3b0c44298fc"),
        Ok(AnyReference::Named(_))
    ));
    assert!(AnyReference::parse("Foo").is_err());
}

#[test]
fn the_default_tag_is_latest() {
    assert_eq!(
        Reference::parse("a").unwrap().or_latest().familiar(),
        "a:latest"
    );
    assert_eq!(
        Reference::parse(&format!("a@{DIGEST}"))
            .unwrap()
            .or_latest()
            .tag(),
        None
    );
    assert_eq!(
        Reference::parse("a:b").unwrap().with_tag("c d"),
        Err(InvalidReference::Tag)
    );
}

proptest! {
    #[test]
    fn both_forms_read_back_as_the_same(
        text in "((localhost|[a-zA-Z0-9]{1,5}\\.[a-z]{1,3})(:[0-9]{1,4})?/)?[a-z0-9]{1,4}([._-][a-z0-9]{1,3})?(/[a-z0-9]{1,3}){0,2}(:[a-zA-Z0-9_][a-zA-Z0-9._-]{0,5})?"
    ) {
        let reference = Reference::parse(&text).unwrap();
        prop_assert_eq!(&Reference::parse(&reference.canonical()).unwrap(), &reference);
        prop_assert_eq!(&Reference::parse(&reference.familiar()).unwrap(), &reference);
        let json = serde_json::to_string(&reference).unwrap();
        prop_assert_eq!(serde_json::from_str::<Reference>(&json).unwrap(), reference);
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in ".{0,80}") {
        if let Ok(reference) = Reference::parse(&text) {
            prop_assert!(!reference.path().split('/').any(|c| c.is_empty() || c == ".."));
            prop_assert_eq!(Reference::parse(&reference.canonical()), Ok(reference));
        }
        let _ = AnyReference::parse(&text);
    }
}
