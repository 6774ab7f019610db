//! Times as `--since` takes them: a moment, or how long ago (Docker's `GetTimestamp`).

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// Seconds since 1970, with nanoseconds where they matter, as the daemon takes them.
pub(crate) fn parse(text: &str, now: Timestamp) -> Result<String, String> {
    if text != "0"
        && let Some(ago) = duration(text)
    {
        let moment = now.checked_sub(ago).map_err(|_| refused(text))?;
        return Ok(moment.as_second().to_string());
    }
    if let Some(moment) = moment(text) {
        return Ok(format!(
            "{}.{:09}",
            moment.as_second(),
            moment.subsec_nanosecond()
        ));
    }
    let seconds = text
        .split_once('.')
        .map_or((text, "0"), |(seconds, fraction)| (seconds, fraction));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits(seconds.0) && digits(seconds.1) {
        Ok(text.to_owned())
    } else {
        Err(refused(text))
    }
}

fn refused(text: &str) -> String {
    format!("failed to parse value as time or duration: {text:?}")
}

/// `2013-01-02T13:23:37.5Z`, and less of it; without a zone it is the client's.
fn moment(text: &str) -> Option<Timestamp> {
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Some(moment);
    }
    let local = |text: &str| {
        let civil: DateTime = text.parse().ok()?;
        civil
            .to_zoned(TimeZone::system())
            .ok()
            .map(|zoned| zoned.timestamp())
    };
    let is_date = text.len() >= 10 && text.as_bytes()[4] == b'-';
    if let Some(date) = text.strip_suffix(['z', 'Z']) {
        let civil: DateTime = padded(date).parse().ok()?;
        return civil
            .to_zoned(TimeZone::UTC)
            .ok()
            .map(|zoned| zoned.timestamp());
    }
    if is_date { local(&padded(text)) } else { None }
}

/// Adds the minutes that `2013-01-02T13` leaves out.
fn padded(text: &str) -> String {
    match text.split_once('T') {
        Some((_, time)) if !time.contains(':') && !time.is_empty() => format!("{text}:00:00"),
        _ => text.to_owned(),
    }
}

/// Go's `time.ParseDuration`: `1h30m`, `1.5s`, `-2m`.
pub(crate) fn duration(text: &str) -> Option<SignedDuration> {
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(SignedDuration::ZERO);
    }
    let mut total = 0.0_f64;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..end].parse().ok()?;
        rest = &rest[end..];
        let end = rest
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(rest.len());
        total += number * unit(&rest[..end])?;
        rest = &rest[end..];
    }
    SignedDuration::try_from_secs_f64(if negative { -total } else { total }).ok()
}

/// Seconds of a unit.
fn unit(name: &str) -> Option<f64> {
    match name {
        "ns" => Some(1e-9),
        "us" | "µs" | "μs" => Some(1e-6),
        "ms" => Some(1e-3),
        "s" => Some(1.0),
        "m" => Some(60.0),
        "h" => Some(3600.0),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_docker_reads_them() {
        let now = Timestamp::from_second(1_000_000).unwrap();
        let check = |text: &str, expected: Option<&str>| {
            assert_eq!(parse(text, now).ok().as_deref(), expected, "{text}");
        };
        check("10m", Some("999400"));
        check("1h30m", Some("994600"));
        check("-10s", Some("1000010"));
        check("0", Some("0"));
        check("1136073600", Some("1136073600"));
        check("1136073600.000000001", Some("1136073600.000000001"));
        check("2006-01-02T15:04:05Z", Some("1136214245.000000000"));
        check("2006-01-02T15:04:05.5Z", Some("1136214245.500000000"));
        check("2006-01-02T15:04:05+01:00", Some("1136210645.000000000"));
        check("2006-01-02T15:04Z", Some("1136214240.000000000"));
        check("2006-01-02Z", Some("1136160000.000000000"));
        check("foo", None);
        check("10x", None);
        check("", None);
    }
}
