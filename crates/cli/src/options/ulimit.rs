//! `--ulimit NAME=SOFT[:HARD]`.

use api::types::host_config::Ulimit;

const NAMES: &[&str] = &[
    "core",
    "cpu",
    "data",
    "fsize",
    "locks",
    "memlock",
    "msgqueue",
    "nice",
    "nofile",
    "nproc",
    "rss",
    "rtprio",
    "rttime",
    "sigpending",
    "stack",
];

/// Reads one limit.
pub(crate) fn parse(text: &str) -> Result<Ulimit, String> {
    let (name, limits) = text
        .split_once('=')
        .ok_or_else(|| format!("invalid ulimit argument: {text}"))?;
    if !NAMES.contains(&name) {
        return Err(format!("invalid ulimit type: {name}"));
    }
    let parts: Vec<_> = limits.split(':').collect();
    let (soft, hard) = match parts[..] {
        [both] => (number(both)?, number(both)?),
        [soft, hard] => (number(soft)?, number(hard)?),
        _ => {
            return Err(format!(
                "too many limit value arguments - {limits}, can only have up to two, `soft[:hard]`"
            ));
        }
    };
    // -1 is without limit, so it is above every other.
    if hard != -1 && soft == -1 {
        return Err(format!(
            "ulimit soft limit must be less than or equal to hard limit: soft: -1 (unlimited), hard: {hard}"
        ));
    }
    if hard != -1 && soft > hard {
        return Err(format!(
            "ulimit soft limit must be less than or equal to hard limit: {soft} > {hard}"
        ));
    }
    Ok(Ulimit {
        name: name.to_owned(),
        hard,
        soft,
    })
}

fn number(text: &str) -> Result<i64, String> {
    text.parse()
        .map_err(|_| format!("strconv.ParseInt: parsing {text:?}: invalid syntax"))
}

/// Whether it is a limit.
pub(crate) fn check(text: &str) -> Result<(), String> {
    parse(text).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_as_docker_reads_them() {
        let check = |text: &str, expected: Result<(i64, i64), &str>| {
            let got = parse(text).map(|limit| (limit.soft, limit.hard));
            assert_eq!(got, expected.map_err(str::to_owned), "{text}");
        };
        check("nofile=1024", Ok((1024, 1024)));
        check("nofile=1024:2048", Ok((1024, 2048)));
        check("core=-1", Ok((-1, -1)));
        check("nofile=5:-1", Ok((5, -1)));
        check("nofile", Err("invalid ulimit argument: nofile"));
        check("nope=1", Err("invalid ulimit type: nope"));
        check(
            "nofile=1:2:3",
            Err("too many limit value arguments - 1:2:3, can only have up to two, `soft[:hard]`"),
        );
        check(
            "nofile=2:1",
            Err("ulimit soft limit must be less than or equal to hard limit: 2 > 1"),
        );
        check(
            "nofile=-1:5",
            Err(
                "ulimit soft limit must be less than or equal to hard limit: soft: -1 (unlimited), hard: 5",
            ),
        );
        check(
            "nofile=x",
            Err("strconv.ParseInt: parsing \"x\": invalid syntax"),
        );
    }
}
