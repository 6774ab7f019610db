//! How far a piece of work is, as Docker's client draws it: `[==>      ]  1.2MB/3.4MB`.

use std::fmt::Write;

use api::types::progress::ProgressDetail;

use crate::format::units::human_size;

/// Length of the bar's inside.
const LENGTH: usize = 50;

/// Terminals of this width and less have room for the numbers only.
const NARROW: u32 = 110;

/// The bar and its numbers; empty if nothing is known.
#[expect(clippy::cast_precision_loss, reason = "four digits are shown")]
pub(super) fn text(detail: &ProgressDetail, width: u32) -> String {
    let (current, total) = (detail.current, detail.total);
    if current <= 0 && total <= 0 {
        return String::new();
    }
    let bytes = |count: i64| human_size(count as f64);
    if total <= 0 {
        return format!("{:>8}", counted(detail, current, bytes));
    }
    let mut out = String::new();
    if width > NARROW {
        let done = done(current, total);
        let _ = write!(out, "[{}>{}] ", "=".repeat(done), " ".repeat(LENGTH - done));
    }
    if !detail.hide_counts {
        let _ = match (detail.units.as_str(), current > total) {
            ("", true) => write!(out, "{:>8}", bytes(current)),
            ("", false) => write!(out, "{:>8}/{}", bytes(current), bytes(total)),
            (units, true) => write!(out, "{current} {units}"),
            (units, false) => write!(out, "{current}/{total} {units}"),
        };
    }
    out
}

fn counted(detail: &ProgressDetail, count: i64, bytes: impl Fn(i64) -> String) -> String {
    match detail.units.as_str() {
        "" => bytes(count),
        units => format!("{count} {units}"),
    }
}

/// How much of the bar is drawn: half of the per cent, cut off.
fn done(current: i64, total: i64) -> usize {
    let per_cent = i128::from(current.max(0)) * 100 / i128::from(total);
    usize::try_from(per_cent / 2).map_or(LENGTH, |half| half.min(LENGTH))
}
