//! `--since` and `--until`: a Unix time, a date, or a length of time before now.

use std::time::{SystemTime, UNIX_EPOCH};

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// The text as the daemon takes it: Unix seconds, with nine digits after the point where there are any.
pub(crate) fn to_query(text: &str) -> Result<String, String> {
    at(text, SystemTime::now())
}

fn at(text: &str, now: SystemTime) -> Result<String, String> {
    if let Some(duration) = duration(text) {
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = SignedDuration::try_from(now).unwrap_or(SignedDuration::MAX);
        let then = now.checked_sub(duration).unwrap_or_default();
        return Ok(format!("{}.{:09}", then.as_secs(), then.subsec_nanos().abs()));
    }
    if is_unix_time(text) {
        return Ok(text.to_owned());
    }
    let time = point(text).ok_or_else(|| format!("failed to parse value as time or duration: {text:?}"))?;
    Ok(format!("{}.{:09}", time.as_second(), time.subsec_nanosecond()))
}

fn is_unix_time(text: &str) -> bool {
    let (seconds, rest) = text.split_once('.').unwrap_or((text, "0"));
    let seconds = seconds.strip_prefix('-').unwrap_or(seconds);
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits(seconds) && digits(rest)
}

/// With an offset it is that point; without one it is in the user's time zone.
fn point(text: &str) -> Option<Timestamp> {
    if let Ok(time) = text.parse() {
        return Some(time);
    }
    // jiff wants minutes; Docker also takes the hour alone.
    let text = if text.len() == "2006-01-02T15".len() { format!("{text}:00") } else { text.trim_end_matches('Z').to_owned() };
    let local: DateTime = text.parse().ok()?;
    Some(local.to_zoned(TimeZone::system()).ok()?.timestamp())
}

/// Go's durations: `1h30m`, `1.5h`, `-300ms`, `0`.
pub(crate) fn duration(text: &str) -> Option<SignedDuration> {
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest.is_empty() || !rest.ends_with(|letter: char| letter.is_alphabetic()) {
        return None;
    }
    let mut total = 0.0;
    while !rest.is_empty() {
        let number = rest.find(|letter: char| letter != '.' && !letter.is_ascii_digit())?;
        let unit_end = rest[number..].find(|letter: char| letter == '.' || letter.is_ascii_digit());
        let end = unit_end.map_or(rest.len(), |end| number + end);
        total += rest[..number].parse::<f64>().ok()? * unit(&rest[number..end])?;
        rest = &rest[end..];
    }
    SignedDuration::try_from_secs_f64(if negative { -total } else { total }).ok()
}

fn unit(name: &str) -> Option<f64> {
    Some(match name {
        "ns" => 1e-9,
        "us" | "µs" | "μs" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn every_form_is_read() {
        let now = UNIX_EPOCH + Duration::from_secs(10_000);
        let check = |text: &str, expected: &str| assert_eq!(at(text, now).as_deref(), Ok(expected), "{text}");
        check("1h", "6400.000000000");
        check("1m30.5s", "9909.500000000");
        check("0s", "10000.000000000");
        check("1234", "1234");
        check("1234.5", "1234.5");
        check("1970-01-01T00:00:05Z", "5.000000000");
        check("1970-01-01T01:00:05.25+01:00", "5.250000000");
        assert_eq!(at("foo", now), Err("failed to parse value as time or duration: \"foo\"".to_owned()));
    }
}
