//! `-v [SOURCE:]TARGET[:OPTIONS]`.

use std::path::{Path, PathBuf};

use crate::failure::errno_text;

/// What `-v` asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Volume {
    /// A volume without a name, at this path.
    Anonymous(String),
    /// A path of the host or a named volume: the text for `HostConfig.Binds`.
    Bind(String),
}

/// Reads one volume; what stands behind the source is the daemon's to judge. A source that begins with a dot is taken from `current`, the client's folder.
pub(crate) fn parse(
    text: &str,
    current: &dyn Fn() -> std::io::Result<PathBuf>,
) -> Result<Volume, String> {
    if text.is_empty() {
        return Err("invalid empty volume spec".to_owned());
    }
    let Some((source, rest)) = text.split_once(':') else {
        return Ok(Volume::Anonymous(text.to_owned()));
    };
    if source.is_empty() || rest.is_empty() {
        return Err(format!(
            "invalid spec: {text}: empty section between colons"
        ));
    }
    if !source.starts_with('.') {
        return Ok(Volume::Bind(text.to_owned()));
    }
    let current = current().map_err(|error| format!("getwd: {}", errno_text(&error)))?;
    Ok(Volume::Bind(format!(
        "{}:{rest}",
        clean(&current.join(source))
    )))
}

/// A path without `.`, `..` and doubled slashes, by its text alone (Go's `filepath.Clean` for absolute paths).
pub(crate) fn clean(path: &Path) -> String {
    let mut clean = PathBuf::from("/");
    for part in path.components() {
        match part {
            std::path::Component::Normal(name) => clean.push(name),
            std::path::Component::ParentDir => {
                clean.pop();
            }
            _ => {}
        }
    }
    clean.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn volumes_are_read_as_docker_reads_them() {
        let check = |text: &str, expected: Result<Volume, &str>| {
            let got = parse(text, &|| Ok(PathBuf::from("/home/me")));
            assert_eq!(got, expected.map_err(str::to_owned), "{text}");
        };
        check("/data", Ok(Volume::Anonymous("/data".into())));
        check("name:/data", Ok(Volume::Bind("name:/data".into())));
        check("/a:/b:ro", Ok(Volume::Bind("/a:/b:ro".into())));
        check("./x:/b:ro,z", Ok(Volume::Bind("/home/me/x:/b:ro,z".into())));
        check("../x/:/b", Ok(Volume::Bind("/home/x:/b".into())));
        check(".:/b", Ok(Volume::Bind("/home/me:/b".into())));
        check("", Err("invalid empty volume spec"));
        check(":", Err("invalid spec: :: empty section between colons"));
        check("a:", Err("invalid spec: a:: empty section between colons"));
    }
}
