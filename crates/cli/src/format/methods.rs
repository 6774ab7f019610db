//! Methods with arguments, which the template crate does not have.

use super::actions::{Quotes, actions};

/// Names that are methods in Docker's rows.
const METHODS: [&str; 1] = ["Label"];

/// Writes `.Label "x"` as `call .Label "x"`, inside actions and outside of quotes; the row's `Label` is a function value.
pub(super) fn as_calls(source: &str) -> String {
    let mut out = String::with_capacity(source.len() + 16);
    let mut done = 0;
    for action in actions(source) {
        out.push_str(&source[done..action.start]);
        rewrite(action.text, &mut out);
        done = action.start + action.text.len();
    }
    out.push_str(&source[done..]);
    out
}

fn rewrite(action: &str, out: &mut String) {
    let mut quotes = Quotes::default();
    let mut operand = out.len();
    for (index, letter) in action.char_indices() {
        let quoted = quotes.covers(letter);
        if !quoted
            && letter.is_whitespace()
            && is_method(&out[operand..])
            && has_argument(&action[index..])
        {
            out.insert_str(operand, "call ");
        }
        out.push(letter);
        if !(quoted || letter.is_alphanumeric() || matches!(letter, '_' | '.' | '$')) {
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
