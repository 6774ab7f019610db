//! `Range` of downloads (RFC 9110, 14) and `Content-Range` of chunks (distribution-spec, "Pushing a blob in chunks").

use std::ops::Range;

/// Which bytes of something `size` long a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    All,
    Part(Range<u64>),
    /// Answered with 416.
    Nothing,
}

/// Reads a `Range` header. What is not one range of bytes is answered with everything, as the RFC allows.
pub(crate) fn asked(header: Option<&str>, size: u64) -> Asked {
    let Some(range) = header.and_then(|h| h.trim().strip_prefix("bytes=")) else {
        return Asked::All;
    };
    let Some((first, last)) = range.split_once('-') else {
        return Asked::All;
    };
    let part = match (number(first), number(last)) {
        (Some(first), Some(last)) if first <= last => first..last.saturating_add(1).min(size),
        (Some(first), None) if last.trim().is_empty() => first..size,
        (None, Some(count)) if first.trim().is_empty() => size.saturating_sub(count)..size,
        _ => return Asked::All,
    };
    if part.start < part.end {
        Asked::Part(part)
    } else {
        Asked::Nothing
    }
}

/// Reads a chunk's `Content-Range`, `first-last`, both inclusive; also with `bytes` before and a total behind.
pub(crate) fn chunk(header: &str) -> Option<Range<u64>> {
    let text = header.trim();
    let text = text
        .strip_prefix("bytes")
        .map_or(text, |rest| rest.trim_start_matches([' ', '=']));
    let text = text.split_once('/').map_or(text, |(range, _)| range);
    let (first, last) = text.split_once('-')?;
    let (first, last) = (number(first)?, number(last)?);
    (first <= last).then(|| first..last.saturating_add(1))
}

/// Digits only: `parse` alone would take a plus sign.
fn number(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ranges() {
        let check =
            |header: &str, expect: Asked| assert_eq!(asked(Some(header), 10), expect, "{header}");
        check("bytes=0-0", Asked::Part(0..1));
        check("bytes=2-5", Asked::Part(2..6));
        check("bytes=2-", Asked::Part(2..10));
        check("bytes=2-99", Asked::Part(2..10));
        check("bytes=-3", Asked::Part(7..10));
        check("bytes=-99", Asked::Part(0..10));
        check("bytes=10-", Asked::Nothing);
        check("bytes=-0", Asked::Nothing);
        check("bytes=5-2", Asked::All);
        check("bytes=0-1,3-4", Asked::All);
        check("items=0-1", Asked::All);
        check("bytes=a-b", Asked::All);
        assert_eq!(asked(None, 10), Asked::All);
        assert_eq!(asked(Some("bytes=0-0"), 0), Asked::Nothing);
    }

    #[test]
    fn chunks() {
        assert_eq!(chunk("0-9"), Some(0..10));
        assert_eq!(chunk("bytes 3-3/10"), Some(3..4));
        assert_eq!(chunk("bytes=3-4"), Some(3..5));
        for bad in ["", "-", "1-", "-1", "2-1", "a-b", "+1-2", "1-2-3"] {
            assert_eq!(chunk(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn a_part_lies_inside(header in ".{0,30}", size: u64) {
            if let Asked::Part(part) = asked(Some(&header), size) {
                prop_assert!(part.start < part.end && part.end <= size);
            }
            let _ = chunk(&header);
        }

        #[test]
        fn a_good_range_is_what_it_says(first in 0u64..2000, count in 1u64..2000, size in 1u64..2000) {
            let header = format!("bytes={first}-{}", first + count - 1);
            let expect = if first < size { Asked::Part(first..(first + count).min(size)) } else { Asked::Nothing };
            prop_assert_eq!(asked(Some(&header), size), expect);
        }
    }
}
