//! Moments as logs, events and exit records carry them: nanoseconds since the epoch, printed as RFC 3339 in UTC.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A moment in nanoseconds since 1970-01-01T00:00:00Z (years 1678 to 2261).
///
/// `Display` is Go's `RFC3339Nano` (no trailing zeros in the fraction), which is what Docker's json-file holds;
/// [`Timestamp::fixed`] always prints nine digits, which is what `docker logs -t` shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

/// A text that is no RFC 3339 moment.
#[derive(Debug, thiserror::Error)]
#[error("not an RFC 3339 time: {0:?}")]
pub struct InvalidTimestamp(String);

const NANOS: i64 = 1_000_000_000;

impl Timestamp {
    /// The moment that many nanoseconds after the epoch.
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// The wall clock.
    pub fn now() -> Self {
        SystemTime::now().into()
    }

    /// Nanoseconds since the epoch.
    pub const fn as_nanos(self) -> i64 {
        self.0
    }

    /// The form with nine digits of fraction, `2006-01-02T15:04:05.000000000Z`: always 30 bytes.
    pub fn fixed(self) -> [u8; 30] {
        let (days, of_day) = (
            self.0.div_euclid(86_400 * NANOS),
            self.0.rem_euclid(86_400 * NANOS),
        );
        let (year, month, day) = civil(days);
        let (seconds, nanos) = (of_day / NANOS, of_day % NANOS);
        let mut text = *b"0000-00-00T00:00:00.000000000Z";
        put(&mut text[0..4], year);
        put(&mut text[5..7], month);
        put(&mut text[8..10], day);
        put(&mut text[11..13], seconds / 3600);
        put(&mut text[14..16], seconds / 60 % 60);
        put(&mut text[17..19], seconds % 60);
        put(&mut text[20..29], nanos);
        text
    }

    /// Appends the form without trailing zeros.
    pub fn append_to(self, out: &mut Vec<u8>) {
        let text = self.fixed();
        let digits = &text[..29];
        let kept = digits.iter().rposition(|&c| c != b'0').map_or(0, |i| i + 1);
        // A fraction of zero goes with its point; what is left of the point may end in zeros of its own.
        out.extend_from_slice(if kept <= 20 {
            &text[..19]
        } else {
            &text[..kept]
        });
        out.push(b'Z');
    }

    /// Parses RFC 3339 as bytes, any offset, any number of fraction digits (those past nanoseconds are dropped).
    pub fn parse(text: &[u8]) -> Option<Self> {
        if text.len() < 20
            || text[4] != b'-'
            || text[7] != b'-'
            || !matches!(text[10], b'T' | b't' | b' ')
        {
            return None;
        }
        if text[13] != b':' || text[16] != b':' {
            return None;
        }
        let date = (
            number(&text[0..4])?,
            number(&text[5..7])?,
            number(&text[8..10])?,
        );
        let clock = (
            number(&text[11..13])?,
            number(&text[14..16])?,
            number(&text[17..19])?,
        );
        let in_range = (1..=12).contains(&date.1)
            && (1..=31).contains(&date.2)
            && clock.0 < 24
            && clock.1 < 60
            && clock.2 <= 60;
        if !in_range {
            return None;
        }
        let (nanos, rest) = fraction(&text[19..])?;
        let seconds = days_from_civil(date.0, date.1, date.2) * 86_400
            + clock.0 * 3600
            + clock.1 * 60
            + clock.2
            - offset(rest)?;
        Some(Self(seconds.checked_mul(NANOS)?.checked_add(nanos)?))
    }
}

/// `.123` and what follows it; no point is a fraction of zero.
fn fraction(text: &[u8]) -> Option<(i64, &[u8])> {
    let Some(digits) = text.strip_prefix(b".") else {
        return Some((0, text));
    };
    let count = digits.iter().take_while(|c| c.is_ascii_digit()).count();
    if count == 0 {
        return None;
    }
    let kept = count.min(9);
    let nanos = number(&digits[..kept])? * 10_i64.pow(9 - kept as u32);
    Some((nanos, &digits[count..]))
}

/// `Z` or `+hh:mm`, in seconds east of UTC.
fn offset(text: &[u8]) -> Option<i64> {
    match text {
        b"Z" | b"z" => Some(0),
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let seconds = number(&[*h1, *h2])? * 3600 + number(&[*m1, *m2])? * 60;
            Some(if *sign == b'-' { -seconds } else { seconds })
        }
        _ => None,
    }
}

fn number(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0_i64, |sum, &c| {
        c.is_ascii_digit().then(|| sum * 10 + i64::from(c - b'0'))
    })
}

fn put(field: &mut [u8], mut value: i64) {
    for digit in field.iter_mut().rev() {
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
    }
}

/// Year, month and day of a day counted from the epoch (Howard Hinnant, "chrono-compatible low-level date algorithms").
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let part = (5 * of_year + 2) / 153;
    let month = if part < 10 { part + 3 } else { part - 9 };
    (
        year_of_era + era * 400 + i64::from(month <= 2),
        month,
        of_year - (153 * part + 2) / 5 + 1,
    )
}

fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        let nanos = |d: Duration| i64::try_from(d.as_nanos()).unwrap_or(i64::MAX);
        Self(
            time.duration_since(UNIX_EPOCH)
                .map_or_else(|before| -nanos(before.duration()), nanos),
        )
    }
}

impl From<Timestamp> for SystemTime {
    fn from(at: Timestamp) -> Self {
        let distance = Duration::from_nanos(at.0.unsigned_abs());
        if at.0 < 0 {
            UNIX_EPOCH - distance
        } else {
            UNIX_EPOCH + distance
        }
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = Vec::with_capacity(30);
        self.append_to(&mut text);
        f.write_str(&String::from_utf8_lossy(&text))
    }
}

impl FromStr for Timestamp {
    type Err = InvalidTimestamp;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text.as_bytes()).ok_or_else(|| InvalidTimestamp(text.to_owned()))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'_, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn prints_like_go() {
        let check =
            |nanos, expect: &str| assert_eq!(Timestamp::from_nanos(nanos).to_string(), expect);
        check(0, "1970-01-01T00:00:00Z");
        check(1_700_000_000_120_000_000, "2023-11-14T22:13:20.12Z");
        check(1_709_210_096_000_000_001, "2024-02-29T12:34:56.000000001Z");
        check(-1, "1969-12-31T23:59:59.999999999Z");
        assert_eq!(
            &Timestamp::from_nanos(10_000_000_000).fixed(),
            b"1970-01-01T00:00:10.000000000Z"
        );
    }

    #[test]
    fn parses_offsets_and_refuses_rubbish() {
        let check = |text: &str, expect: Option<i64>| {
            assert_eq!(
                text.parse::<Timestamp>().ok().map(Timestamp::as_nanos),
                expect,
                "{text}"
            );
        };
        check("1970-01-01T01:00:00+01:00", Some(0));
        check("1970-01-01T00:00:00.1234567899Z", Some(123_456_789));
        check("1970-01-01T00:00:00", None);
        check("1970-13-01T00:00:00Z", None);
        check("1970-01-01T00:00:00.Z", None);
        check("9999-01-01T00:00:00Z", None);
        check("", None);
    }

    proptest! {
        #[test]
        fn printed_is_parsed(nanos in any::<i64>()) {
            let at = Timestamp::from_nanos(nanos);
            prop_assert_eq!(at.to_string().parse::<Timestamp>().unwrap(), at);
            prop_assert_eq!(Timestamp::parse(&at.fixed()), Some(at));
        }

        #[test]
        fn any_bytes_are_survived(text in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = Timestamp::parse(&text);
        }
    }
}
