//! Files of a container on the wire: the stat header, the changes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use engine::{Change, ChangeKind, PathStat};
use http::HeaderValue;

use crate::http::failure::Failure;

const S_IFMT: u32 = 0o170_000;

/// The value of `X-Docker-Container-Path-Stat`.
pub(crate) fn stat_header(stat: &PathStat) -> Result<HeaderValue, Failure> {
    let wire = api::types::container::PathStat {
        name: stat.name.clone(),
        size: i64::try_from(stat.size).unwrap_or(i64::MAX),
        mode: go_mode(stat.mode),
        mtime: stat.mtime.to_string(),
        link_target: stat.link_target.clone(),
    };
    let json = serde_json::to_vec(&wire).map_err(|e| Failure::internal(e.to_string()))?;
    HeaderValue::from_str(&STANDARD.encode(json)).map_err(|e| Failure::internal(e.to_string()))
}

/// Go's `os.FileMode` of an `st_mode`: the permissions are the same, everything above them is Go's own.
fn go_mode(mode: u32) -> u32 {
    let kind = match mode & S_IFMT {
        0o040_000 => 1 << 31,
        0o120_000 => 1 << 27,
        0o060_000 => 1 << 26,
        0o020_000 => (1 << 26) | (1 << 21),
        0o010_000 => 1 << 25,
        0o140_000 => 1 << 24,
        _ => 0,
    };
    let bit = |from: u32, to: u32| if mode & from == 0 { 0 } else { to };
    (mode & 0o777) | kind | bit(0o4000, 1 << 23) | bit(0o2000, 1 << 22) | bit(0o1000, 1 << 20)
}

/// `GET /containers/{id}/changes`: `null` when there are none, as Docker has it.
pub(crate) fn changes(changes: Vec<Change>) -> Option<Vec<api::types::container::Change>> {
    let kind = |kind| match kind {
        ChangeKind::Modified => 0,
        ChangeKind::Added => 1,
        ChangeKind::Deleted => 2,
    };
    let wire: Vec<_> = changes
        .into_iter()
        .map(|c| api::types::container::Change {
            kind: kind(c.kind),
            path: c.path,
        })
        .collect();
    (!wire.is_empty()).then_some(wire)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_in_gos_bits() {
        let check = |mode, expect| assert_eq!(go_mode(mode), expect, "{mode:o}");
        check(0o100_644, 0o644);
        check(0o040_755, 0o755 | 1 << 31);
        check(0o041_777, 0o777 | 1 << 31 | 1 << 20);
        check(0o104_755, 0o755 | 1 << 23);
        check(0o102_755, 0o755 | 1 << 22);
        check(0o120_777, 0o777 | 1 << 27);
        check(0o020_666, 0o666 | 1 << 26 | 1 << 21);
        check(0o060_660, 0o660 | 1 << 26);
    }

    #[test]
    fn the_header_is_dockers() {
        let stat = PathStat {
            name: "passwd".into(),
            size: 30,
            mode: 0o100_644,
            mtime: "2026-11-22T00:52:33Z".parse().unwrap(),
            link_target: String::new(),
        };
        let expect = "eyJuYW1lIjoicGFzc3dkIiwic2l6ZSI6MzAsIm1vZGUiOjQyMCwibXRpbWUiOiIyMDI2LTExLTIyVDAwOjUyOjMzWiIsImxpbmtUYXJnZXQiOiIifQ==";
        assert_eq!(stat_header(&stat).unwrap(), expect);
    }
}
