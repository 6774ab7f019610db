//! `--device HOST[:CONTAINER][:MODE]`.

use api::types::host_config::DeviceMapping;

/// Reads one device.
pub(crate) fn parse(text: &str) -> Result<DeviceMapping, String> {
    let parts: Vec<_> = text.split(':').collect();
    let bad = || format!("bad format for path: {text}");
    let (host, container, mode) = match parts[..] {
        ["", ..] => return Err(bad()),
        [both] => (both, both, "rwm"),
        [both, mode] if is_mode(mode) => (both, both, mode),
        [host, container] => (host, container, "rwm"),
        [host, container, mode] if is_mode(mode) => (host, container, mode),
        [_, _, mode] => return Err(format!("bad mode specified: {mode}")),
        _ => return Err(bad()),
    };
    if !container.starts_with('/') {
        return Err(format!("{container} is not an absolute path"));
    }
    Ok(DeviceMapping {
        path_on_host: host.to_owned(),
        path_in_container: container.to_owned(),
        cgroup_permissions: mode.to_owned(),
    })
}

/// Some of `r`, `w` and `m`, each at most once.
fn is_mode(text: &str) -> bool {
    let once = |letter: char| text.matches(letter).count() <= 1;
    !text.is_empty()
        && text.chars().all(|c| "rwm".contains(c))
        && once('r')
        && once('w')
        && once('m')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_read_as_docker_reads_them() {
        let check = |text: &str, expected: Result<[&str; 3], &str>| {
            let got = parse(text).map(|device| {
                [
                    device.path_on_host,
                    device.path_in_container,
                    device.cgroup_permissions,
                ]
            });
            assert_eq!(
                got,
                expected
                    .map(|parts| parts.map(str::to_owned))
                    .map_err(str::to_owned),
                "{text}"
            );
        };
        check("/dev/fuse", Ok(["/dev/fuse", "/dev/fuse", "rwm"]));
        check("/dev/fuse:r", Ok(["/dev/fuse", "/dev/fuse", "r"]));
        check("/dev/fuse:/dev/x", Ok(["/dev/fuse", "/dev/x", "rwm"]));
        check("/dev/fuse:/dev/x:rw", Ok(["/dev/fuse", "/dev/x", "rw"]));
        check("/dev/fuse:/dev/x:z", Err("bad mode specified: z"));
        check("/dev/fuse:/dev/x:rr", Err("bad mode specified: rr"));
        check("a:b:c:d", Err("bad format for path: a:b:c:d"));
        check("", Err("bad format for path: "));
        check("fuse", Err("fuse is not an absolute path"));
    }
}
