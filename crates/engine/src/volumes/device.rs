//! What the options of the local driver (`type`, `device`, `o`) say to mount in a volume's place.
//!
//! Docker mounts such a volume on its `_data` for as long as containers that use it run, and so does this engine: it is
//! the one thing that it mounts where the host sees it, as all containers must share one filesystem.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::path::Path;

use linux::Errno;
use linux::file::{self, OFlags};
use linux::mount::{self, Attributes, Depth, FsContext};

use crate::error::{Error, Result};

/// A filesystem, or a part of one, that is mounted for a volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Device {
    kind: String,
    device: String,
    options: String,
}

/// What the words of `o` come to.
#[derive(Debug, Default, PartialEq, Eq)]
struct Words<'a> {
    bind: Option<Depth>,
    attributes: Attributes,
    /// For the filesystem itself.
    data: Vec<&'a str>,
}

/// Checks the options as Docker's local driver does when the volume is made; what they name is looked for at the start.
pub(super) fn check(name: &str, options: &BTreeMap<String, String>) -> Result<()> {
    let refuse = |why: String| Err(Error::invalid(format!("create {name}: {why}")));
    for option in options.keys() {
        if !matches!(option.as_str(), "type" | "o" | "device" | "size") {
            return refuse(format!("invalid option: {option:?}"));
        }
    }
    if let Some(size) = options.get("size") {
        // A quota needs a filesystem with project quotas under the data root, which nobody has set up for us.
        return refuse(if size.starts_with(|c: char| c.is_ascii_digit()) {
            "quota size requested but no quota support".to_owned()
        } else {
            format!("invalid size: '{size}'")
        });
    }
    let needs: [(&str, &[&str]); 3] = [
        ("device", &["type"]),
        ("o", &["device", "type"]),
        ("type", &["device"]),
    ];
    for (option, others) in needs {
        let missing = others.iter().find(|other| !options.contains_key(**other));
        if let Some(missing) = missing.filter(|_| options.contains_key(option)) {
            return refuse(format!("missing required option: {missing:?}"));
        }
    }
    Ok(())
}

impl Device {
    /// `None`: the volume is a plain folder.
    pub(super) fn of(options: &BTreeMap<String, String>) -> Option<Self> {
        let option = |name: &str| options.get(name).cloned().unwrap_or_default();
        let found = Self {
            kind: option("type"),
            device: option("device"),
            options: option("o"),
        };
        (!found.kind.is_empty() && !found.device.is_empty()).then_some(found)
    }

    /// Mounts it on `place`.
    pub(super) fn mount(&self, place: &Path) -> Result<()> {
        let words = Words::of(&self.options);
        self.check_address(&words)?;
        let attached = self
            .tree(&words)
            .and_then(|tree| mount::attach(tree, file::open_path(place)?));
        attached.map_err(|error| {
            let shown = place.display();
            let (device, options) = (&self.device, &self.options);
            let text =
                format!("failed to mount local volume: mount {device}:{shown}, data: {options}");
            match error.errno() {
                // Docker's clients take "no such file or directory" for a missing executable.
                Errno::NOENT => {
                    Error::system(format!("{text}: the device {device} does not exist"))
                }
                _ => Error::system(text).caused_by(error),
            }
        })
    }

    fn tree(&self, words: &Words<'_>) -> linux::Result<OwnedFd> {
        let Some(depth) = words.bind else {
            let context = FsContext::new(&self.kind)?;
            context.string("source", &self.device)?;
            if words.attributes.contains(Attributes::READ_ONLY) {
                context.flag("ro")?;
            }
            words
                .data
                .iter()
                .try_for_each(|word| context.option(word))?;
            return context.create()?.mount(words.attributes);
        };
        let source = file::open(Path::new(&self.device), OFlags::PATH)?;
        let tree = mount::clone_tree(source, depth)?;
        if !words.attributes.is_empty() {
            mount::set_attributes(&tree, Depth::One, words.attributes, Attributes::empty())?;
        }
        Ok(tree)
    }

    /// The kernel wants the address of a server as a number, and nothing here resolves names.
    fn check_address(&self, words: &Words<'_>) -> Result<()> {
        if !matches!(self.kind.as_str(), "nfs" | "nfs4" | "cifs") {
            return Ok(());
        }
        let address = words
            .data
            .iter()
            .find_map(|word| word.strip_prefix("addr="));
        match address.map(|text| (text, text.parse::<IpAddr>())) {
            Some((text, Err(_))) => Err(Error::unsupported(format!(
                "the server {text:?} of a volume by its name (say addr=IP instead): that"
            ))),
            _ => Ok(()),
        }
    }
}

impl<'a> Words<'a> {
    fn of(options: &'a str) -> Self {
        let mut words = Self::default();
        for word in options.split(',').filter(|word| !word.is_empty()) {
            words.add(word);
        }
        words
    }

    fn add(&mut self, word: &'a str) {
        let attribute = match word {
            "bind" => return self.bind = Some(Depth::One),
            "rbind" => return self.bind = Some(Depth::Recursive),
            "ro" => Attributes::READ_ONLY,
            "nosuid" => Attributes::NO_SUID,
            "nodev" => Attributes::NO_DEV,
            "noexec" => Attributes::NO_EXEC,
            "noatime" => Attributes::NO_ATIME,
            "nodiratime" => Attributes::NO_DIR_ATIME,
            "rw" | "suid" | "dev" | "exec" | "atime" | "relatime" | "defaults" | "async" => return,
            _ => return self.data.push(word),
        };
        self.attributes |= attribute;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        pairs.iter().map(owned).collect()
    }

    #[test]
    fn dockers_texts_about_options() {
        let check = |pairs: &[(&str, &str)], expect: &str| {
            let error = check("v", &options(pairs)).unwrap_err();
            assert_eq!(error.to_string(), format!("create v: {expect}"));
        };
        check(&[("foo", "bar")], "invalid option: \"foo\"");
        check(&[("type", "tmpfs")], "missing required option: \"device\"");
        check(&[("device", "x")], "missing required option: \"type\"");
        check(&[("o", "size=1m")], "missing required option: \"device\"");
        check(
            &[("o", "bind"), ("device", "/tmp")],
            "missing required option: \"type\"",
        );
        check(
            &[("size", "1m")],
            "quota size requested but no quota support",
        );
        check(&[("size", "foo")], "invalid size: 'foo'");
        super::check("v", &options(&[("type", ""), ("device", "")])).unwrap();
    }

    #[test]
    fn words_are_binds_attributes_or_the_filesystems() {
        let words = Words::of("rbind,ro,nosuid,size=1m,uid=7,rw");
        assert_eq!(words.bind, Some(Depth::Recursive));
        assert_eq!(
            words.attributes,
            Attributes::READ_ONLY | Attributes::NO_SUID
        );
        assert_eq!(words.data, ["size=1m", "uid=7"]);
    }

    #[test]
    fn only_type_and_device_together_are_mounted() {
        assert_eq!(Device::of(&options(&[("type", ""), ("device", "")])), None);
        let nfs = options(&[("type", "nfs"), ("device", ":/x"), ("o", "addr=host.name")]);
        let error = Device::of(&nfs).unwrap().mount(Path::new("/")).unwrap_err();
        assert!(error.to_string().contains("host.name"), "{error}");
    }
}
