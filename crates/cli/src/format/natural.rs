//! Order in which people count: `v2` before `v10`.

use std::cmp::Ordering;

/// Compares texts, their runs of digits by value.
pub(crate) fn compare(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.as_bytes(), b.as_bytes());
    loop {
        match (a.first(), b.first()) {
            (Some(x), Some(y)) if x.is_ascii_digit() && y.is_ascii_digit() => {
                let (left, right) = (digits(&mut a), digits(&mut b));
                let order = by_value(left, right);
                if order != Ordering::Equal {
                    return order;
                }
            }
            (Some(x), Some(y)) if x == y => {
                a = &a[1..];
                b = &b[1..];
            }
            (x, y) => return x.cmp(&y),
        }
    }
}

fn digits<'a>(text: &mut &'a [u8]) -> &'a [u8] {
    let end = text
        .iter()
        .position(|byte| !byte.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    *text = rest;
    digits
}

/// Zeros in front count for nothing, unless nothing else differs.
fn by_value(a: &[u8], b: &[u8]) -> Ordering {
    let bare = |digits: &[u8]| digits.iter().take_while(|byte| **byte == b'0').count();
    let (x, y) = (&a[bare(a)..], &b[bare(b)..]);
    x.len()
        .cmp(&y.len())
        .then_with(|| x.cmp(y))
        .then_with(|| a.len().cmp(&b.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_names_count() {
        let mut names = ["v10", "v2", "a", "v2b", "v", "v02", "10", "9"];
        names.sort_by(|a, b| compare(a, b));
        assert_eq!(names, ["9", "10", "a", "v", "v2", "v2b", "v02", "v10"]);
    }
}
