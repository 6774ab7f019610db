//! What a request's path means.
//!
//! Names of repositories hold slashes and may hold the very words of the protocol (`a/blobs/uploads` is a name), so a
//! path is read from its end: the last segments say what is asked, what stands before them is the name.

use std::borrow::Cow;

use oci::Digest;

use super::name::{Name, Reach, Tag, UploadId};

/// A path, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// `/v2/`: is this a registry, and may I come in?
    Base,
    Catalog,
    Tags(Name),
    Manifest(Name, Reach),
    Blob(Name, Digest),
    Uploads(Name),
    Upload(Name, UploadId),
    Referrers(Name, Digest),
    /// Where bearer tokens are given out.
    Token,
    Metrics,
    /// The web page: all repositories.
    Home,
    /// The web page of one repository.
    Page(Name),
    /// The web page of one manifest.
    ManifestPage(Name, Reach),
}

/// Why a path means nothing here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// No such resource.
    Path,
    Name,
    Tag,
    Digest,
    Upload,
}

impl Target {
    /// Reads the path of a request's URI, as it was sent.
    pub fn parse(raw: &str) -> Result<Target, Unknown> {
        let path = decoded(raw).ok_or(Unknown::Path)?;
        match &*path {
            "/" | "/ui" | "/ui/" => return Ok(Target::Home),
            "/v2" | "/v2/" => return Ok(Target::Base),
            "/v2/_catalog" => return Ok(Target::Catalog),
            "/token" => return Ok(Target::Token),
            "/metrics" => return Ok(Target::Metrics),
            _ => {}
        }
        if let Some(rest) = path.strip_prefix("/ui/") {
            return page(rest);
        }
        resource(path.strip_prefix("/v2/").ok_or(Unknown::Path)?)
    }

    /// The repository it is about.
    pub(crate) fn name(&self) -> Option<&Name> {
        match self {
            Target::Tags(name)
            | Target::Manifest(name, _)
            | Target::Blob(name, _)
            | Target::Uploads(name)
            | Target::Upload(name, _)
            | Target::Referrers(name, _)
            | Target::Page(name)
            | Target::ManifestPage(name, _) => Some(name),
            _ => None,
        }
    }

    /// One word for metrics.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Target::Base => "base",
            Target::Catalog => "catalog",
            Target::Tags(_) => "tags",
            Target::Manifest(..) => "manifest",
            Target::Blob(..) => "blob",
            Target::Uploads(_) | Target::Upload(..) => "upload",
            Target::Referrers(..) => "referrers",
            Target::Token => "token",
            Target::Metrics => "metrics",
            Target::Home | Target::Page(_) | Target::ManifestPage(..) => "page",
        }
    }
}

fn page(rest: &str) -> Result<Target, Unknown> {
    if let Some((name, digest)) = rest.split_once('@') {
        let digest = digest.parse().map_err(|_| Unknown::Digest)?;
        return Ok(Target::ManifestPage(named(name)?, Reach::Digest(digest)));
    }
    match rest.split_once(':') {
        Some((name, tag)) => {
            let tag = tag.parse().map_err(|_| Unknown::Tag)?;
            Ok(Target::ManifestPage(named(name)?, Reach::Tag(tag)))
        }
        None => named(rest).map(Target::Page),
    }
}

fn resource(rest: &str) -> Result<Target, Unknown> {
    let (head, last) = rest.rsplit_once('/').ok_or(Unknown::Path)?;
    // `uploads` is wanted with its slash; without it the word is the last one.
    if let Some(name) = head.strip_suffix("/blobs").filter(|_| last == "uploads") {
        return named(name).map(Target::Uploads);
    }
    if let Some(name) = head.strip_suffix("/blobs/uploads") {
        let name = named(name)?;
        if last.is_empty() {
            return Ok(Target::Uploads(name));
        }
        return match last.parse() {
            Ok(id) => Ok(Target::Upload(name, id)),
            Err(_) => Err(Unknown::Upload),
        };
    }
    let (name, word) = head.rsplit_once('/').ok_or(Unknown::Path)?;
    match word {
        "tags" if last == "list" => named(name).map(Target::Tags),
        "manifests" => Ok(Target::Manifest(named(name)?, reach(last)?)),
        "blobs" => Ok(Target::Blob(named(name)?, digest(last)?)),
        "referrers" => Ok(Target::Referrers(named(name)?, digest(last)?)),
        _ => Err(Unknown::Path),
    }
}

fn named(text: &str) -> Result<Name, Unknown> {
    text.parse().map_err(|_| Unknown::Name)
}

fn digest(text: &str) -> Result<Digest, Unknown> {
    text.parse().map_err(|_| Unknown::Digest)
}

fn reach(text: &str) -> Result<Reach, Unknown> {
    if text.contains(':') {
        return digest(text).map(Reach::Digest);
    }
    let tag: Result<Tag, _> = text.parse();
    tag.map(Reach::Tag).map_err(|_| Unknown::Tag)
}

/// Undoes percent signs, which some clients put for the colon of a digest; `None` when it is no such encoding or no
/// UTF-8. Nothing is looked for on disk under what comes out: names are checked first.
pub(crate) fn decoded(raw: &str) -> Option<Cow<'_, str>> {
    if !raw.contains('%') {
        return Some(Cow::Borrowed(raw));
    }
    let mut bytes = Vec::with_capacity(raw.len());
    let mut rest = raw.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let [high, low, tail @ ..] = rest else {
            return None;
        };
        bytes.push(hex(*high)? << 4 | hex(*low)?);
        rest = tail;
    }
    String::from_utf8(bytes).ok().map(Cow::Owned)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|d| u8::try_from(d).ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SHA: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    const ID: &str = "0123456789abcdef0123456789abcdef";

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    #[test]
    fn paths() {
        let check =
            |path: &str, expect: Target| assert_eq!(Target::parse(path), Ok(expect), "{path}");
        let tag = |text: &str| Reach::Tag(text.parse().unwrap());
        check("/v2/", Target::Base);
        check("/v2", Target::Base);
        check("/", Target::Home);
        check("/ui/", Target::Home);
        check("/v2/_catalog", Target::Catalog);
        check("/v2/a/b/tags/list", Target::Tags(name("a/b")));
        check(
            "/v2/a/manifests/latest",
            Target::Manifest(name("a"), tag("latest")),
        );
        check(
            &format!("/v2/a/manifests/{SHA}"),
            Target::Manifest(name("a"), Reach::Digest(SHA.parse().unwrap())),
        );
        check(
            &format!("/v2/a/blobs/{}", SHA.replace(':', "%3A")),
            Target::Blob(name("a"), SHA.parse().unwrap()),
        );
        check("/v2/a/blobs/uploads/", Target::Uploads(name("a")));
        check("/v2/a/blobs/uploads", Target::Uploads(name("a")));
        check(
            &format!("/v2/a/blobs/uploads/{ID}"),
            Target::Upload(name("a"), ID.parse().unwrap()),
        );
        check(
            &format!("/v2/a/referrers/{SHA}"),
            Target::Referrers(name("a"), SHA.parse().unwrap()),
        );
        check("/ui/a/b", Target::Page(name("a/b")));
        check("/ui/a/b:x", Target::ManifestPage(name("a/b"), tag("x")));
    }

    #[test]
    fn names_may_hold_the_words_of_the_protocol() {
        let check = |path: &str, expect: &str| {
            assert_eq!(
                Target::parse(path).unwrap().name(),
                Some(&name(expect)),
                "{path}"
            );
        };
        check("/v2/a/tags/list/tags/list", "a/tags/list");
        check("/v2/tags/tags/list", "tags");
        check("/v2/a/blobs/uploads/blobs/uploads/", "a/blobs/uploads");
        check("/v2/manifests/manifests/manifests", "manifests");
        check("/v2/a/blobs/manifests/x", "a/blobs");
    }

    #[test]
    fn what_means_nothing() {
        let check =
            |path: &str, expect: Unknown| assert_eq!(Target::parse(path), Err(expect), "{path}");
        check("/v1/", Unknown::Path);
        check("/v2/a", Unknown::Path);
        check("/v2/a/tags/other", Unknown::Path);
        check("/v2/../tags/list", Unknown::Name);
        check("/v2/a/%2e%2e/tags/list", Unknown::Name);
        check("/v2/A/tags/list", Unknown::Name);
        check("/v2/a/manifests/.x", Unknown::Tag);
        check("/v2/a/manifests/sha256:00", Unknown::Digest);
        check("/v2/a/blobs/x", Unknown::Digest);
        check("/v2/a/blobs/uploads/..", Unknown::Upload);
        check("/v2/a%zz/tags/list", Unknown::Path);
        check("/v2/a%ff/tags/list", Unknown::Path);
    }

    proptest! {
        #[test]
        fn any_path_is_read_or_refused(path in ".{0,80}") {
            let _ = Target::parse(&path);
        }

        #[test]
        fn every_name_comes_back(name in "[a-z0-9]{1,8}([._-][a-z0-9]{1,4}){0,2}(/(tags|blobs|uploads|list|manifests|[a-z]{1,4})){0,4}") {
            let expect: Name = name.parse().unwrap();
            for path in [
                format!("/v2/{name}/tags/list"),
                format!("/v2/{name}/manifests/latest"),
                format!("/v2/{name}/blobs/{SHA}"),
                format!("/v2/{name}/blobs/uploads/"),
                format!("/v2/{name}/blobs/uploads/{ID}"),
            ] {
                let target = Target::parse(&path).unwrap();
                prop_assert_eq!(target.name(), Some(&expect));
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]

        /// The promise of the fuzz target `registry_path`: what is taken holds nothing that climbs.
        #[test]
        fn nothing_that_is_taken_climbs(
            path in r"/(v2/|-/)?(\.\.|\.|/|%2e|%2F|%5C|%00|\\|:|@|tags/list|manifests/|blobs/|uploads/|referrers/|[a-z]{1,3}|A|é){0,12}"
        ) {
            let Ok(target) = Target::parse(&path) else {
                return Ok(());
            };
            let Some(name) = target.name() else {
                return Ok(());
            };
            let plain = |part: &str| !part.is_empty() && part != "." && part != ".." && part.is_ascii();
            prop_assert!(name.as_str().split('/').all(plain), "{path:?} gave {name:?}");
            prop_assert!(!name.as_str().contains(['%', '\\', '\0', ':', '@']), "{path:?} gave {name:?}");
        }
    }
}
