//! Methods with arguments, which the template crate does not have.

/// Names that are methods in Docker's rows.
const METHODS: [&str; 1] = ["Label"];

/// Writes `.Label "x"` as `call .Label "x"`, inside actions and outside of quotes; the row's `Label` is a function value.
pub(super) fn as_calls(source: &str) -> String {
    if !METHODS.iter().any(|method| source.contains(method)) {
        return source.to_owned();
    }
    let mut out = String::with_capacity(source.len() + 16);
    let mut rest = source;
    while let Some(start) = rest.find("{{") {
        let (before, action) = rest.split_at(start);
        let end = end_of_action(action);
        out.push_str(before);
        rewrite_action(&action[..end], &mut out);
        rest = &action[end..];
    }
    out.push_str(rest);
    out
}

/// Where the action that `text` begins with ends: `}}` within quotes does not count.
fn end_of_action(text: &str) -> usize {
    let mut quote = None;
    let mut letters = text.char_indices().skip(2);
    while let Some((index, letter)) = letters.next() {
        match quote {
            Some('"') if letter == '\\' => drop(letters.next()),
            Some(open) if letter == open => quote = None,
            Some(_) => {}
            None if matches!(letter, '"' | '`' | '\'') => quote = Some(letter),
            None if text[index..].starts_with("}}") => return index + 2,
            None => {}
        }
    }
    text.len()
}

fn rewrite_action(action: &str, out: &mut String) {
    let mut quote = None;
    let mut skip_next = false;
    let mut operand = out.len();
    for (index, letter) in action.char_indices() {
        let escaped = std::mem::take(&mut skip_next);
        match quote {
            Some('"') if letter == '\\' && !escaped => skip_next = true,
            Some(open) if letter == open && !escaped => quote = None,
            Some(_) => {}
            None if matches!(letter, '"' | '`' | '\'') => quote = Some(letter),
            None if letter.is_whitespace()
                && is_method(&out[operand..])
                && has_argument(&action[index..]) =>
            {
                out.insert_str(operand, "call ");
            }
            None => {}
        }
        out.push(letter);
        if quote.is_none() && !(letter.is_alphanumeric() || matches!(letter, '_' | '.' | '$')) {
            operand = out.len();
        }
    }
}

fn is_method(operand: &str) -> bool {
    operand
        .rsplit_once('.')
        .is_some_and(|(_, name)| METHODS.contains(&name))
}

fn has_argument(rest: &str) -> bool {
    rest.trim_start().starts_with(['"', '`', '.', '$', '('])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_methods_in_actions_become_calls() {
        let check = |source: &str, expected: &str| assert_eq!(as_calls(source), expected);
        check("{{.ID}}", "{{.ID}}");
        check(r#"{{.Label "x"}}"#, r#"{{call .Label "x"}}"#);
        check(
            r#"{{if (.Label "a")}}{{$.Label `b`|upper}}{{end}}"#,
            r#"{{if (call .Label "a")}}{{call $.Label `b`|upper}}{{end}}"#,
        );
        check(
            r#"{{.Labels}} .Label "x" {{".Label \"x\" }}"}}"#,
            r#"{{.Labels}} .Label "x" {{".Label \"x\" }}"}}"#,
        );
        check("{{.Label", "{{.Label");
    }
}
