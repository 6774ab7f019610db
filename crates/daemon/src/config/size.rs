//! Sizes as Docker's flags write them: `64m`, `1.5GiB`, `1024`.

/// Bytes of a size in binary units (docker/go-units `RAMInBytes`): `1k` is 1024.
pub(crate) fn bytes(text: &str) -> Option<i64> {
    let text = text.trim();
    let split = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let number: f64 = number.parse().ok().filter(|n: &f64| *n >= 0.0)?;
    let unit = unit.trim_start().to_ascii_lowercase();
    let letter = unit
        .strip_suffix("ib")
        .or_else(|| unit.strip_suffix('b'))
        .unwrap_or(&unit);
    let power = match letter {
        "" => 0,
        "k" => 1,
        "m" => 2,
        "g" => 3,
        "t" => 4,
        "p" => 5,
        _ => return None,
    };
    let product = number * 1024f64.powi(power);
    (product <= i64::MAX as f64).then_some(product as i64)
}

#[cfg(test)]
mod tests {
    use super::bytes;

    #[test]
    fn sizes_as_docker_reads_them() {
        let check = |text, expect| assert_eq!(bytes(text), expect, "{text}");
        check("64m", Some(64 << 20));
        check("64MiB", Some(64 << 20));
        check("64 MB", Some(64 << 20));
        check("1.5k", Some(1536));
        check("1024", Some(1024));
        check("10b", Some(10));
        check("-1", None);
        check("", None);
        check("10x", None);
        check("1e400g", None);
    }
}
