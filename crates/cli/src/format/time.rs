//! Points in time, in the user's own time zone.

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

use super::units::human_duration;

fn local(timestamp: Timestamp) -> Zoned {
    timestamp.to_zoned(TimeZone::system())
}

/// Unix seconds as Go prints a `time.Time`: `2026-11-22 01:26:30 +0000 UTC`.
pub(crate) fn go_text(seconds: i64) -> String {
    Timestamp::from_second(seconds).map_or_else(
        |_| seconds.to_string(),
        |time| local(time).strftime("%Y-%m-%d %H:%M:%S %z %Z").to_string(),
    )
}

/// Unix seconds in RFC 3339: `2026-11-22T01:26:30Z`.
pub(crate) fn rfc3339(seconds: i64) -> String {
    Timestamp::from_second(seconds).map_or_else(
        |_| seconds.to_string(),
        |time| zulu(local(time).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()),
    )
}

/// Unix nanoseconds in RFC 3339 with all nine digits.
pub(crate) fn rfc3339_nano(nanoseconds: i64) -> String {
    Timestamp::from_nanosecond(nanoseconds.into()).map_or_else(
        |_| nanoseconds.to_string(),
        |time| zulu(local(time).strftime("%Y-%m-%dT%H:%M:%S%.9f%:z").to_string()),
    )
}

fn zulu(text: String) -> String {
    match text.strip_suffix("+00:00") {
        Some(start) => format!("{start}Z"),
        None => text,
    }
}

/// An RFC 3339 text the way C's `ctime` has it: `Tue Sep 15 11:02:57 2026`. Anything else stays as it is.
pub(crate) fn ctime(rfc3339: &str) -> String {
    match rfc3339.parse::<Timestamp>() {
        Ok(time) => time
            .to_zoned(TimeZone::UTC)
            .strftime("%a %b %e %H:%M:%S %Y")
            .to_string(),
        Err(_) => rfc3339.to_owned(),
    }
}

/// How long ago Unix seconds were, in words: `About a minute ago`.
pub(crate) fn ago(seconds: i64) -> String {
    format!(
        "{} ago",
        human_duration(Timestamp::now().as_second().saturating_sub(seconds))
    )
}

/// An RFC 3339 text in Unix seconds.
pub(crate) fn seconds(rfc3339: &str) -> Option<i64> {
    rfc3339.parse::<Timestamp>().ok().map(Timestamp::as_second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_gos_forms() {
        assert_eq!(
            ctime("2026-09-15T11:02:57.000000000+00:00"),
            "Tue Sep 15 11:02:57 2026"
        );
        assert_eq!(ctime("2026-09-05T11:02:57Z"), "Sat Sep  5 11:02:57 2026");
        assert_eq!(ctime("unknown"), "unknown");
        assert_eq!(seconds("1970-01-01T00:00:05Z"), Some(5));
        assert_eq!(zulu("x+00:00".to_owned()), "xZ");
        assert!(rfc3339_nano(1).contains(".000000001"));
    }
}
