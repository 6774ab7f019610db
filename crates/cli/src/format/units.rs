//! Sizes and times as Docker's `go-units` writes them.

/// Four digits at most, in steps of 1000: `2.065MB`.
pub(crate) fn human_size(bytes: f64) -> String {
    size(
        bytes,
        1000.0,
        &["B", "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"],
        4,
    )
}

/// Three digits at most, in steps of 1000: `2.07MB`.
pub(crate) fn short_size(bytes: f64) -> String {
    size(
        bytes,
        1000.0,
        &["B", "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"],
        3,
    )
}

/// Four digits at most, in steps of 1024: `23.54GiB`.
pub(crate) fn binary_size(bytes: f64) -> String {
    size(
        bytes,
        1024.0,
        &["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"],
        4,
    )
}

fn size(mut bytes: f64, step: f64, units: &[&str], digits: usize) -> String {
    let mut index = 0;
    while bytes >= step && index + 1 < units.len() {
        bytes /= step;
        index += 1;
    }
    format!("{}{}", general(bytes, digits), units[index])
}

/// C's and Go's `%.{digits}g`.
fn general(number: f64, digits: usize) -> String {
    if number == 0.0 {
        return "0".to_owned();
    }
    let scientific = format!("{number:.*e}", digits.saturating_sub(1));
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let most = i32::try_from(digits).unwrap_or(i32::MAX);
    if exponent < -4 || exponent >= most {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{}e{sign}{:02}", without_zeros(mantissa), exponent.abs());
    }
    let decimals = usize::try_from(most - 1 - exponent).unwrap_or(0);
    without_zeros(&format!("{number:.decimals$}")).to_owned()
}

fn without_zeros(text: &str) -> &str {
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.')
    } else {
        text
    }
}

/// A length of time in words: `About a minute`. Negative ones are "Less than a second".
pub(crate) fn human_duration(seconds: i64) -> String {
    let minutes = seconds / 60;
    // Half an hour counts as one, as in go-units.
    let hours = (seconds + 1800) / 3600;
    match seconds {
        ..1 => "Less than a second".to_owned(),
        1 => "1 second".to_owned(),
        2..60 => format!("{seconds} seconds"),
        60..120 => "About a minute".to_owned(),
        120..3600 => format!("{minutes} minutes"),
        _ => hours_in_words(hours, seconds),
    }
}

fn hours_in_words(hours: i64, seconds: i64) -> String {
    const DAY: i64 = 24;
    match hours {
        ..=1 => "About an hour".to_owned(),
        2..48 => format!("{hours} hours"),
        _ if hours < DAY * 7 * 2 => format!("{} days", hours / DAY),
        _ if hours < DAY * 30 * 2 => format!("{} weeks", hours / DAY / 7),
        _ if hours < DAY * 365 * 2 => format!("{} months", hours / DAY / 30),
        _ => format!("{} years", seconds / 3600 / DAY / 365),
    }
}

/// A text cut to `length` letters, the last of them an ellipsis.
pub(crate) fn ellipsis(text: &str, length: usize) -> String {
    if text.chars().count() <= length {
        return text.to_owned();
    }
    let mut cut: String = text.chars().take(length.saturating_sub(1)).collect();
    cut.push('…');
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_dockers_digits() {
        let check = |bytes: f64, short: &str, human: &str| {
            assert_eq!(
                (short_size(bytes).as_str(), human_size(bytes).as_str()),
                (short, human),
                "{bytes}"
            );
        };
        check(0.0, "0B", "0B");
        check(2_065_225.0, "2.07MB", "2.065MB");
        check(999.0, "999B", "999B");
        check(1000.0, "1kB", "1kB");
        check(999_960.0, "1e+03kB", "1000kB");
        check(43_700_000.0, "43.7MB", "43.7MB");
        assert_eq!(binary_size(25_276_502_016.0), "23.54GiB");
    }

    #[test]
    fn durations_are_in_words() {
        const HOUR: i64 = 3600;
        let check = |seconds: i64, expected: &str| {
            assert_eq!(human_duration(seconds), expected, "{seconds}");
        };
        check(-5, "Less than a second");
        check(0, "Less than a second");
        check(1, "1 second");
        check(59, "59 seconds");
        check(60, "About a minute");
        check(121, "2 minutes");
        check(HOUR, "About an hour");
        check(HOUR * 3 / 2 + 1, "2 hours");
        check(47 * HOUR, "47 hours");
        check(48 * HOUR, "2 days");
        check(15 * 24 * HOUR, "2 weeks");
        check(70 * 24 * HOUR, "2 months");
        check(800 * 24 * HOUR, "2 years");
    }

    #[test]
    fn an_ellipsis_is_one_letter() {
        assert_eq!(ellipsis("12345", 5), "12345");
        assert_eq!(ellipsis("123456", 5), "1234…");
    }
}
