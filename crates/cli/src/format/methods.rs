//! What the template crate does not have: methods with arguments, and structs that print as Go prints them.

use super::actions::{Quotes, actions};
use super::functions::SHOWN;

/// Names that are methods in Docker's rows.
const METHODS: [&str; 1] = ["Label"];

/// Writes `.Label "x"` as `call .Label "x"`, inside actions and outside of quotes; the row's `Label` is a function value. An
/// action that is one field goes through the function [`SHOWN`].
pub(super) fn as_calls(source: &str) -> String {
    let mut out = String::with_capacity(source.len() + 16);
    let mut done = 0;
    for action in actions(source) {
        out.push_str(&source[done..action.start]);
        match field(action.text) {
            Some(field) => {
                out.push_str(&action.text.replacen(field, &format!("{SHOWN} {field}"), 1));
            }
            None => rewrite(action.text, &mut out),
        }
        done = action.start + action.text.len();
    }
    out.push_str(&source[done..]);
    out
}

/// The field that is all there is between the braces, such as `.HostConfig.RestartPolicy`.
fn field(action: &str) -> Option<&str> {
    let inside = action.strip_prefix("{{")?.strip_suffix("}}")?;
    let inside = inside.strip_prefix('-').unwrap_or(inside);
    let inside = inside.strip_suffix('-').unwrap_or(inside).trim();
    let is_name = |letter: char| letter.is_alphanumeric() || letter == '_';
    let mut names = inside.strip_prefix('.')?.split('.');
    names
        .all(|name| !name.is_empty() && name.chars().all(is_name))
        .then_some(inside)
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
        check("{{.ID}}", "{{shown_as_go_does .ID}}");
        check("{{- .A.B_c -}}", "{{- shown_as_go_does .A.B_c -}}");
        check("{{.A.}}{{.}}{{ . }}", "{{.A.}}{{.}}{{ . }}");
        check(r#"{{.Label "x"}}"#, r#"{{call .Label "x"}}"#);
        check(
            r#"{{if (.Label "a")}}{{$.Label `b`|upper}}{{end}}"#,
            r#"{{if (call .Label "a")}}{{call $.Label `b`|upper}}{{end}}"#,
        );
        check(
            r#"{{len .Labels}} .Label "x" {{".Label \"x\" }}"}}"#,
            r#"{{len .Labels}} .Label "x" {{".Label \"x\" }}"}}"#,
        );
        check("{{.Label", "{{.Label");
    }
}
