//! Sizes: `64m`, `1.5GiB`, `-1` for swap without limit (Docker's go-units).

/// Bytes of a text such as `64m` or `1 GiB`; units are powers of 1024.
pub(crate) fn bytes(text: &str) -> Result<i64, String> {
    let end = text
        .rfind(|c: char| c.is_ascii_digit() || c == '.' || c == ' ')
        .ok_or_else(|| format!("invalid size: '{text}'"))?;
    let (number, suffix) = if text.as_bytes()[end] == b' ' {
        (&text[..end], &text[end + 1..])
    } else {
        text.split_at(end + 1)
    };
    let number: f64 = number
        .parse()
        .map_err(|_| format!("strconv.ParseFloat: parsing {number:?}: invalid syntax"))?;
    if number < 0.0 {
        return Err(format!("invalid size: '{text}'"));
    }
    let suffix = suffix.to_lowercase();
    let factor = factor(&suffix).ok_or_else(|| format!("invalid suffix: '{suffix}'"))?;
    // `as` saturates: a size past i64 becomes the largest, which the daemon judges.
    #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss)]
    let bytes = (number * factor as f64) as i64;
    Ok(bytes)
}

fn factor(suffix: &str) -> Option<u64> {
    let unit = match suffix.chars().next() {
        None => return Some(1),
        Some('b') if suffix == "b" => return Some(1),
        Some('k') => 1,
        Some('m') => 2,
        Some('g') => 3,
        Some('t') => 4,
        Some('p') => 5,
        Some(_) => return None,
    };
    matches!(&suffix[1..], "" | "b" | "ib").then(|| 1 << (10 * unit))
}

/// `--memory-swap`: a size, or -1 for no limit.
pub(crate) fn bytes_or_unlimited(text: &str) -> Result<i64, String> {
    if text == "-1" { Ok(-1) } else { bytes(text) }
}

/// Whether it is a size.
pub(crate) fn check_bytes(text: &str) -> Result<(), String> {
    bytes(text).map(drop)
}

/// Whether it is a size or -1.
pub(crate) fn check_swap(text: &str) -> Result<(), String> {
    bytes_or_unlimited(text).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_docker_reads_them() {
        let check = |text: &str, expected: Result<i64, &str>| {
            assert_eq!(bytes(text), expected.map_err(str::to_owned), "{text:?}");
        };
        check("64m", Ok(64 << 20));
        check("64M", Ok(64 << 20));
        check("1.5g", Ok(3 << 29));
        check("32", Ok(32));
        check("32b", Ok(32));
        check("32kb", Ok(32 << 10));
        check("32KiB", Ok(32 << 10));
        check("32 kb", Ok(32 << 10));
        check("0", Ok(0));
        check("", Err("invalid size: ''"));
        check("xx", Err("invalid size: 'xx'"));
        check("-1", Err("invalid size: '-1'"));
        check("1x", Err("invalid suffix: 'x'"));
        check("1kbb", Err("invalid suffix: 'kbb'"));
        check("1ki", Err("invalid suffix: 'ki'"));
        check("1bb", Err("invalid suffix: 'bb'"));
        check(
            "1.2.3",
            Err("strconv.ParseFloat: parsing \"1.2.3\": invalid syntax"),
        );
        assert_eq!(bytes_or_unlimited("-1"), Ok(-1));
        assert!(bytes_or_unlimited("-2").is_err());
    }
}
