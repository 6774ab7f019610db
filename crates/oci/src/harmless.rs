//! Text of strangers, on its way to a terminal.

use std::borrow::Cow;
use std::fmt::Write as _;

/// The same text with everything spelled out (`\u{1b}`) that could move a cursor, change colours or titles, paste something, or make a
/// line read in another order than it is written. Line feeds and tabs stay.
pub fn harmless(text: &str) -> Cow<'_, str> {
    if !text.contains(is_harmful) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    let mut rest = text.chars().peekable();
    while let Some(next) = rest.next() {
        match next {
            '\r' if rest.peek() == Some(&'\n') => {}
            '\r' => safe.push_str("\\r"),
            harmful if is_harmful(harmful) => {
                // Writing to a String does not fail.
                let _ = write!(safe, "{}", harmful.escape_unicode());
            }
            plain => safe.push(plain),
        }
    }
    Cow::Owned(safe)
}

fn is_harmful(c: char) -> bool {
    // Besides control characters those that turn the direction of writing (Unicode, annex 9).
    let turns =
        matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    turns || c.is_control() && !matches!(c, '\n' | '\t')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_could_do_something_is_spelled_out() {
        let check = |text: &str, expect: &str| assert_eq!(harmless(text), expect);
        check("plain\ttext\nänderung", "plain\ttext\nänderung");
        check("\u{1b}[2Jgone", "\\u{1b}[2Jgone");
        check("\u{9b}31m", "\\u{9b}31m");
        check("a\rb\r\nc", "a\\rb\nc");
        check("\u{7}\u{8}\u{7f}\0", "\\u{7}\\u{8}\\u{7f}\\u{0}");
        check("\u{202e}txt.exe", "\\u{202e}txt.exe");
    }

    proptest! {
        #[test]
        fn nothing_harmful_is_left_and_once_is_enough(text: String) {
            let safe = harmless(&text).into_owned();
            prop_assert!(!safe.contains(is_harmful));
            prop_assert!(matches!(harmless(&safe), Cow::Borrowed(_)));
        }
    }
}
