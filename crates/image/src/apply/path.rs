/// The longest path that open(2) takes.
const MAX_PATH: usize = 4096;

/// Why a name in an archive names nothing in a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidPath {
    #[error("it holds \"..\"")]
    DotDot,
    #[error("it is longer than {MAX_PATH} bytes")]
    TooLong,
    #[error("only a directory can be the archive's root")]
    Root,
    #[error("a hard link to itself")]
    LinkToItself,
    #[error("a whiteout of nothing")]
    Whiteout,
}

/// A path below the layer's root, without `.`, empty components, or a slash at either end.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Path<'a>(std::borrow::Cow<'a, [u8]>);

impl<'a> Path<'a> {
    pub(crate) fn parse(name: &'a [u8]) -> Result<Path<'a>, InvalidPath> {
        if name.len() > MAX_PATH {
            return Err(InvalidPath::TooLong);
        }
        let name = name.strip_suffix(b"/").unwrap_or(name);
        let components = || name.split(|b| *b == b'/');
        if components().any(|c| c == b"..") {
            return Err(InvalidPath::DotDot);
        }
        if !name.is_empty() && components().all(|c| !matches!(c, b"" | b".")) {
            return Ok(Path(name.into()));
        }
        let clean: Vec<&[u8]> = components().filter(|c| !matches!(*c, b"" | b".")).collect();
        Ok(Path(clean.join(&b'/').into()))
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The directory and the name in it; `None` for the root itself.
    pub(crate) fn split(&self) -> Option<(&[u8], &[u8])> {
        if self.0.is_empty() {
            return None;
        }
        Some(match self.0.iter().rposition(|b| *b == b'/') {
            Some(slash) => (&self.0[..slash], &self.0[slash + 1..]),
            None => (b"", &self.0),
        })
    }

    /// Whether a symlink at this path to `target` climbs above the root by its `..` alone. Docker refuses such.
    pub(crate) fn leads_out(&self, target: &[u8]) -> bool {
        let mut depth = match target.first() {
            Some(b'/') => 0,
            _ => self.0.iter().filter(|b| **b == b'/').count(),
        };
        for component in target.split(|b| *b == b'/') {
            match component {
                b"" | b"." => {}
                b".." if depth == 0 => return target.first() != Some(&b'/'),
                b".." => depth -= 1,
                _ => depth += 1,
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_paths_below_the_root() {
        let check = |name: &str, expect: &str| {
            assert_eq!(
                Path::parse(name.as_bytes()).unwrap().bytes(),
                expect.as_bytes(),
                "{name}"
            );
        };
        check("a/b", "a/b");
        check("./a//b/./c/", "a/b/c");
        check("/a", "a");
        check("./", "");
        check("", "");
        check("/", "");
        check("...", "...");
        for bad in ["..", "a/..", "../a", "a/../b", "/.."] {
            assert_eq!(
                Path::parse(bad.as_bytes()),
                Err(InvalidPath::DotDot),
                "{bad}"
            );
        }
        assert_eq!(Path::parse(&vec![b'a'; 5000]), Err(InvalidPath::TooLong));
    }

    #[test]
    fn a_symlink_may_climb_to_the_root_but_not_above() {
        let out = |path: &str, target: &str| {
            Path::parse(path.as_bytes())
                .unwrap()
                .leads_out(target.as_bytes())
        };
        assert!(!out("a/b/c", "../../x"));
        assert!(out("a/b/c", "../../../x"));
        assert!(out("a", ".."));
        assert!(!out("a", "/../.."));
        assert!(!out("a", "b/../c"));
        assert!(out("a", "b/../../c"));
    }
}
