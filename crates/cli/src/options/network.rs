//! `--network`: until networks are built, `none`, `host` and `container:NAME`.

/// The mode that the daemon is asked for.
pub(crate) fn parse(text: &str) -> Result<String, String> {
    let name = match text.split_once('=') {
        Some(("name", name)) if !name.contains(',') => name,
        Some(_) => return Err(not_built(text)),
        None => text,
    };
    match name {
        "none" | "host" | "default" => Ok(name.to_owned()),
        _ if name
            .strip_prefix("container:")
            .is_some_and(|container| !container.is_empty()) =>
        {
            Ok(name.to_owned())
        }
        _ => Err(not_built(text)),
    }
}

fn not_built(text: &str) -> String {
    format!(
        "networks are not built yet: {text:?} cannot be joined; there are none, host and container:NAME"
    )
}

/// Whether it is one of them.
pub(crate) fn check(text: &str) -> Result<(), String> {
    parse(text).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_is_refused_by_name() {
        assert_eq!(parse("none").as_deref(), Ok("none"));
        assert_eq!(parse("name=host").as_deref(), Ok("host"));
        assert_eq!(parse("container:x").as_deref(), Ok("container:x"));
        for refused in ["bridge", "my-net", "container:", "name=none,ip=1.2.3.4"] {
            assert!(parse(refused).unwrap_err().contains(refused), "{refused}");
        }
    }
}
