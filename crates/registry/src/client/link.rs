//! `Link` (RFC 8288), by which registries say where the next page is.

/// The target of the first link with `rel=next`.
pub fn next_link(header: &str) -> Option<&str> {
    let mut rest = header;
    loop {
        let (_, after) = rest.split_once('<')?;
        let (target, after) = after.split_once('>')?;
        let end = end_of_parameters(after);
        if parameters(&after[..end]).any(is_next) {
            return Some(target);
        }
        rest = &after[end..];
    }
}

/// Where the parameters of a link end: at a comma outside of quotes.
fn end_of_parameters(text: &str) -> usize {
    let (mut quoted, mut escaped) = (false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b',' if !quoted => return at,
            _ => {}
        }
    }
    text.len()
}

fn parameters(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.split(';')
        .filter_map(|part| part.split_once('='))
        .map(|(name, value)| (name.trim(), value.trim()))
}

/// `rel` may hold several relations, separated by spaces.
fn is_next((name, value): (&str, &str)) -> bool {
    name.eq_ignore_ascii_case("rel")
        && value
            .trim_matches('"')
            .split_ascii_whitespace()
            .any(|relation| relation.eq_ignore_ascii_case("next"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn next_pages() {
        let check = |header: &str, expect: Option<&str>| assert_eq!(next_link(header), expect);
        check(
            r#"</v2/a/tags/list?last=b&n=1>; rel="next""#,
            Some("/v2/a/tags/list?last=b&n=1"),
        );
        check(
            r#"<a>; rel=prev, <b>; title="x, <c>"; rel="last next""#,
            Some("b"),
        );
        check(r#"<a>; rel="prev""#, None);
        check("<a>", None);
        check("<a", None);
        check("", None);
        check("<a>; REL=NEXT", Some("a"));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(before in "[a-z/?=&]{0,10}", target in "[a-z/?=&,;]{0,20}") {
            let header = format!("<{before}>; rel=\"prev\", <{target}>; rel=\"next\"");
            prop_assert_eq!(next_link(&header), Some(&*target));
        }

        #[test]
        fn no_text_makes_it_panic(text: String) {
            let _ = next_link(&text);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]

        /// The promise of the fuzz target `link`, over texts that look like the grammar.
        #[test]
        fn a_target_is_a_part_of_the_header(
            text in r#"(<|>|;|,|=|"| |rel=|rel="|next|prev|é|\\|[a-z/?]{1,3}){0,40}"#
        ) {
            if let Some(target) = next_link(&text) {
                let part = format!("<{target}>");
                prop_assert!(text.contains(&part), "{text:?}");
            }
        }
    }
}
