//! `mounts` of the specification: the words of `mount -o`, and what they come to.

use std::path::PathBuf;

use linux::mount::{Attributes, Depth, Propagation};
use oci::runtime::Mount;

use crate::{Error, Result};

/// The options of one mount, sorted out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    /// A bind mount, of one mount or of the tree.
    pub(crate) bind: Option<Depth>,
    pub(crate) set: Attributes,
    pub(crate) clear: Attributes,
    /// For the mounts below as well: `rro` and the like.
    pub(crate) recursive_set: Attributes,
    pub(crate) recursive_clear: Attributes,
    pub(crate) propagation: Vec<(Propagation, Depth)>,
    /// The filesystem's own.
    pub(crate) data: Vec<String>,
    /// Of a bind: not its source but what is there below it, looked up as if the source were `/`. A word of our own: a
    /// path that the engine had checked could be swapped for a symbolic link by another user of the volume.
    pub(crate) subpath: Option<PathBuf>,
    /// A tmpfs starts with what it hides.
    pub(crate) copy_up: bool,
}

/// The word that names a path below the source of a bind mount.
const SUBPATH: &str = "tare.subpath=";

const FLAGS: &[(&str, Attributes, bool)] = &[
    ("ro", Attributes::READ_ONLY, true),
    ("rw", Attributes::READ_ONLY, false),
    ("nosuid", Attributes::NO_SUID, true),
    ("suid", Attributes::NO_SUID, false),
    ("nodev", Attributes::NO_DEV, true),
    ("dev", Attributes::NO_DEV, false),
    ("noexec", Attributes::NO_EXEC, true),
    ("exec", Attributes::NO_EXEC, false),
    ("nodiratime", Attributes::NO_DIR_ATIME, true),
    ("diratime", Attributes::NO_DIR_ATIME, false),
    ("nosymfollow", Attributes::NO_SYMLINK_FOLLOW, true),
    ("symfollow", Attributes::NO_SYMLINK_FOLLOW, false),
];

impl Options {
    pub(crate) fn parse(mount: &Mount) -> Result<Self> {
        let mut options = Self::default();
        if mount.kind == "bind" {
            options.bind = Some(Depth::One);
        }
        for word in &mount.options {
            options.add(word, mount)?;
        }
        if options.bind.is_some() && !options.data.is_empty() {
            let word = &options.data[0];
            return Err(Error::invalid(format!(
                "invalid option {word:?} for the bind mount on {}",
                mount.destination.display()
            )));
        }
        if options.subpath.is_some() && options.bind.is_none() {
            return Err(Error::invalid(format!(
                "{SUBPATH} is only for a bind mount"
            )));
        }
        if options.copy_up && mount.kind != "tmpfs" {
            return Err(Error::invalid("tmpcopyup is only for a tmpfs"));
        }
        Ok(options)
    }

    fn add(&mut self, word: &str, mount: &Mount) -> Result<()> {
        match word {
            "defaults" | "" => {}
            "bind" => self.bind = Some(Depth::One),
            "rbind" => self.bind = Some(Depth::Recursive),
            "tmpcopyup" => self.copy_up = true,
            // The kernel's default for new superblocks, and without meaning for a bind.
            "async" | "nomand" | "nolazytime" | "norelatime" | "noiversion" | "loud" | "silent" => {
            }
            "idmap" | "ridmap" | "remount" => {
                let message = format!(
                    "mount option {word:?} (on {}) is not supported",
                    mount.destination.display()
                );
                return Err(Error::invalid(message));
            }
            _ if word.starts_with(SUBPATH) => self.subpath = Some(word[SUBPATH.len()..].into()),
            _ if self.add_propagation(word) || self.add_flag(word) => {}
            _ => self.data.push(word.to_owned()),
        }
        Ok(())
    }

    fn add_propagation(&mut self, word: &str) -> bool {
        let (name, depth) = match word.strip_prefix('r') {
            Some(name) => (name, Depth::Recursive),
            None => (word, Depth::One),
        };
        let propagation = match name {
            "private" => Propagation::Private,
            "shared" => Propagation::Shared,
            "slave" => Propagation::Slave,
            "unbindable" => Propagation::Unbindable,
            _ => return false,
        };
        self.propagation.push((propagation, depth));
        true
    }

    /// Later words win over earlier ones.
    fn add_flag(&mut self, word: &str) -> bool {
        if let Some((on, off)) = attribute(word) {
            self.set = self.set.without(off) | on;
            self.clear = self.clear.without(on) | off;
            return true;
        }
        if let Some((on, off)) = word.strip_prefix('r').and_then(attribute) {
            self.recursive_set = self.recursive_set.without(off) | on;
            self.recursive_clear = self.recursive_clear.without(on) | off;
            return true;
        }
        false
    }
}

/// What a word sets and what it clears. The access time settings exclude each other.
fn attribute(word: &str) -> Option<(Attributes, Attributes)> {
    let none = Attributes::empty();
    match word {
        "noatime" => return Some((Attributes::NO_ATIME, Attributes::ATIME_MASK)),
        "strictatime" => return Some((Attributes::STRICT_ATIME, Attributes::ATIME_MASK)),
        "relatime" | "atime" | "nostrictatime" => return Some((none, Attributes::ATIME_MASK)),
        _ => {}
    }
    let (_, attribute, is_set) = FLAGS.iter().find(|(name, _, _)| *name == word)?;
    Some(if *is_set {
        (*attribute, none)
    } else {
        (none, *attribute)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(kind: &str, words: &[&str]) -> Result<Options> {
        let options = words.iter().map(|word| (*word).to_owned()).collect();
        Options::parse(&Mount {
            kind: kind.to_owned(),
            options,
            ..Mount::default()
        })
    }

    #[test]
    fn words_are_sorted_out() {
        let options = parse(
            "tmpfs",
            &[
                "nosuid",
                "ro",
                "size=64k",
                "rw",
                "noatime",
                "mode=1777",
                "tmpcopyup",
            ],
        )
        .unwrap();
        assert_eq!(options.set, Attributes::NO_SUID | Attributes::NO_ATIME);
        assert!(options.clear.contains(Attributes::READ_ONLY));
        assert_eq!(options.data, ["size=64k", "mode=1777"]);
        assert!(options.copy_up);
    }

    #[test]
    fn recursion_and_propagation() {
        let options = parse("none", &["rbind", "rro", "rslave", "private"]).unwrap();
        assert_eq!(options.bind, Some(Depth::Recursive));
        assert_eq!(options.recursive_set, Attributes::READ_ONLY);
        assert_eq!(
            options.propagation,
            [
                (Propagation::Slave, Depth::Recursive),
                (Propagation::Private, Depth::One)
            ]
        );
    }

    #[test]
    fn what_cannot_be_is_refused_by_name() {
        let message = |kind: &str, word: &str| parse(kind, &[word]).unwrap_err().to_string();
        assert!(message("bind", "size=3").contains("size=3"));
        assert!(message("bind", "idmap").contains("idmap"));
        assert!(message("proc", "tmpcopyup").contains("tmpcopyup"));
    }
}
