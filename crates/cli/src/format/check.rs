//! What the template crate lets pass and Go does not: blocks that do not match, and functions that nobody has.

use super::actions::{Action, actions};

/// Go's own functions and words, and Docker's functions.
const KNOWN: &[&str] = &[
    "and", "call", "eq", "false", "ge", "gt", "html", "index", "join", "js", "json", "le", "len",
    "lower", "lt", "ne", "nil", "not", "or", "pad", "print", "printf", "println", "slice", "split",
    "template", "title", "true", "truncate", "upper", "urlquery",
];

const OPENERS: [&str; 5] = ["if", "range", "with", "block", "define"];

/// Says what is wrong and in which line, as Go's parser does.
pub(super) fn check(source: &str) -> Result<(), (usize, String)> {
    let mut depth = 0_usize;
    for action in actions(source) {
        let wrong = |message: String| Err((line_of(source, action.start), message));
        let words = words(&action);
        match words.first().copied().unwrap_or_default() {
            opener if OPENERS.contains(&opener) => depth += 1,
            "end" if depth == 0 => return wrong("unexpected {{end}}".to_owned()),
            "end" => depth -= 1,
            "else" if depth == 0 => return wrong("unexpected {{else}}".to_owned()),
            _ => {}
        }
        let is_keyword = |word: &str| {
            OPENERS.contains(&word) || ["end", "else", "break", "continue"].contains(&word)
        };
        if let Some(unknown) = words
            .iter()
            .find(|word| !KNOWN.contains(word) && !is_keyword(word))
        {
            return wrong(format!("function {unknown:?} not defined"));
        }
    }
    if depth > 0 {
        return Err((line_of(source, source.len()), "unexpected EOF".to_owned()));
    }
    Ok(())
}

fn line_of(source: &str, position: usize) -> usize {
    source[..position].matches('\n').count() + 1
}

/// The bare words of an action: no fields, variables, numbers or texts.
fn words<'a>(action: &Action<'a>) -> Vec<&'a str> {
    let mut words = Vec::new();
    for plain in action.outside_quotes() {
        let is_part = |letter: char| letter.is_alphanumeric() || matches!(letter, '_' | '.' | '$');
        let operands = plain.split(|letter: char| !is_part(letter));
        words.extend(operands.filter(|operand| {
            operand.starts_with(|first: char| first.is_alphabetic() || first == '_')
        }));
    }
    words
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn blocks_match_and_functions_exist() {
        let fine = |source: &str| assert_eq!(check(source), Ok(()), "{source}");
        let wrong = |source: &str, line, message: &str| {
            assert_eq!(check(source), Err((line, message.to_owned())), "{source}");
        };
        fine(
            "plain end {{.Foo}} {{if eq .A \"end foo\"}}{{else if .B}}{{else}}{{end}} {{- range $i, $x := .L -}}{{$x.y}}{{end}}",
        );
        fine(
            "{{/* if foo */}}{{define \"x\"}}{{end}}{{template \"x\" .}}{{printf `%s foo` 1e3 | upper}}{{'a'}}{{true}}",
        );
        wrong("a\n{{range .Mounts}}", 2, "unexpected EOF");
        wrong("{{end}}", 1, "unexpected {{end}}");
        wrong("{{else}}", 1, "unexpected {{else}}");
        wrong("{{foo}}", 1, "function \"foo\" not defined");
        wrong("{{.X | foo 1}}", 1, "function \"foo\" not defined");
    }
}
