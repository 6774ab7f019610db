//! Times as Docker's clients send them and expect them.

use jiff::Timestamp;

use crate::http::failure::Failure;

/// Go's zero time: what never happened.
const NEVER: &str = "0001-01-01T00:00:00Z";

/// RFC 3339 with as many digits of the second as are needed; Go's zero time for `None`.
pub(crate) fn text(time: Option<Timestamp>) -> String {
    time.map_or_else(|| NEVER.to_owned(), |t| t.to_string())
}

/// RFC 3339 to the second, as volumes have it.
pub(crate) fn to_the_second(time: Timestamp) -> String {
    Timestamp::from_second(time.as_second())
        .unwrap_or(time)
        .to_string()
}

/// Reads `since` and `until`: seconds since 1970, with a fraction of up to nine digits.
///
/// An empty text is no time. The text and the status of the error are Docker's.
pub(crate) fn unix(text: &str) -> Result<Option<Timestamp>, Failure> {
    if text.is_empty() {
        return Ok(None);
    }
    let invalid =
        |part: &str| Failure::internal(crate::http::query::go_number_error("ParseInt", part));
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let seconds: i64 = whole.parse().map_err(|_| invalid(whole))?;
    let nanoseconds = nanoseconds(fraction).ok_or_else(|| invalid(fraction))?;
    Timestamp::new(seconds, nanoseconds)
        .map(Some)
        .map_err(|_| invalid(whole))
}

/// Reads the `until` of a filter: seconds since 1970, a duration before `now` (`24h`, `1h30m`), or RFC 3339.
pub(crate) fn before(text: &str, now: Timestamp) -> Result<Timestamp, Failure> {
    let invalid = || {
        Failure::bad_request(format!(
            "failed to parse value as time or duration: {text:?}"
        ))
    };
    if let Some(seconds) = go_duration(text) {
        return now
            .checked_sub(jiff::SignedDuration::from_secs_f64(seconds))
            .map_err(|_| invalid());
    }
    if let Ok(Some(time)) = unix(text) {
        return Ok(time);
    }
    text.parse()
        .or_else(|_| local(text).ok_or(()))
        .map_err(|()| invalid())
}

/// A date or a time without a zone is the daemon's.
fn local(text: &str) -> Option<Timestamp> {
    let civil: jiff::civil::DateTime = text.parse().ok()?;
    civil
        .to_zoned(jiff::tz::TimeZone::system())
        .ok()
        .map(|zoned| zoned.timestamp())
}

/// Go's `time.ParseDuration`, in seconds: numbers with units, one after the other.
fn go_duration(text: &str) -> Option<f64> {
    let mut rest = text.strip_prefix(['-', '+']).unwrap_or(text);
    let mut seconds = 0.0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(end);
        let units = [
            ("ns", 1e-9),
            ("us", 1e-6),
            ("µs", 1e-6),
            ("ms", 1e-3),
            ("s", 1.0),
            ("m", 60.0),
            ("h", 3600.0),
        ];
        let (unit, factor) = units.into_iter().find(|(unit, _)| tail.starts_with(unit))?;
        seconds += number.parse::<f64>().ok()? * factor;
        rest = &tail[unit.len()..];
    }
    // Beyond this no time is left to subtract from, and the conversion would not fit.
    (seconds < 1e12).then_some(if text.starts_with('-') {
        -seconds
    } else {
        seconds
    })
}

/// `5` is half a second.
fn nanoseconds(fraction: &str) -> Option<i32> {
    if fraction.is_empty() {
        return Some(0);
    }
    if fraction.len() > 9 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    format!("{fraction:0<9}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_as_go_writes_them() {
        let check = |ns: i64, expect: &str| {
            let time = Timestamp::from_nanosecond(i128::from(ns)).unwrap();
            assert_eq!(text(Some(time)), expect);
        };
        check(1_795_309_422_000_000_000, "2026-11-22T01:03:42Z");
        check(1_795_309_422_120_000_000, "2026-11-22T01:03:42.12Z");
        check(1_795_309_422_123_456_789, "2026-11-22T01:03:42.123456789Z");
        assert_eq!(text(None), "0001-01-01T00:00:00Z");
    }

    #[test]
    fn until_of_filters() {
        let now = Timestamp::new(1_800_000_000, 0).unwrap();
        let check = |text, expect| {
            assert_eq!(
                before(text, now).ok().map(Timestamp::as_second),
                expect,
                "{text}"
            );
        };
        check("10s", Some(1_799_999_990));
        check("1h30m", Some(1_799_994_600));
        check("1700000000", Some(1_700_000_000));
        check("2023-11-14T22:13:20Z", Some(1_700_000_000));
        check("", None);
        check("5x", None);
        check("99999999999999h", None);
    }

    #[test]
    fn since_and_until() {
        let check = |text, expect: Option<(i64, i32)>| {
            let expect = expect.map(|(s, n)| Timestamp::new(s, n).unwrap());
            assert_eq!(unix(text).unwrap(), expect, "{text}");
        };
        check("", None);
        check("0", Some((0, 0)));
        check("1700000000", Some((1_700_000_000, 0)));
        check("1700000000.5", Some((1_700_000_000, 500_000_000)));
        check("1700000000.000000001", Some((1_700_000_000, 1)));
        for text in ["zz", "1.x", "1.0000000001", "99999999999999999999"] {
            assert!(
                unix(text)
                    .unwrap_err()
                    .message
                    .starts_with("strconv.ParseInt"),
                "{text}"
            );
        }
    }
}
