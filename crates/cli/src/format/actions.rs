//! The actions of a template: what stands between `{{` and `}}`.

/// One action.
#[derive(Debug, Clone, Copy)]
pub(super) struct Action<'a> {
    /// Where it begins in the source.
    pub(super) start: usize,
    /// With its braces.
    pub(super) text: &'a str,
}

/// All of them, in order. One without an end goes to the end of the source; comments are left out.
pub(super) fn actions(source: &str) -> impl Iterator<Item = Action<'_>> {
    let mut position = 0;
    let all = std::iter::from_fn(move || {
        let start = position + source[position..].find("{{")?;
        position = start + length(&source[start..]);
        Some(Action {
            start,
            text: &source[start..position],
        })
    });
    all.filter(|action| !is_comment(action.text))
}

fn is_comment(action: &str) -> bool {
    action
        .trim_start_matches("{{")
        .trim_start_matches('-')
        .trim_start()
        .starts_with("/*")
}

/// How long the action is that `text` begins with: `}}` within quotes or a comment does not end it.
fn length(text: &str) -> usize {
    if is_comment(text) {
        return text
            .find("*/")
            .and_then(|end| Some(end + text[end..].find("}}")? + 2))
            .unwrap_or(text.len());
    }
    let mut quotes = Quotes::default();
    for (index, letter) in text.char_indices().skip(2) {
        if !quotes.covers(letter) && text[index..].starts_with("}}") {
            return index + 2;
        }
    }
    text.len()
}

impl<'a> Action<'a> {
    /// The pieces of it that are not quoted texts.
    pub(super) fn outside_quotes(&self) -> Vec<&'a str> {
        let (mut pieces, mut quotes, mut start) = (Vec::new(), Quotes::default(), Some(0));
        for (index, letter) in self.text.char_indices() {
            match (quotes.covers(letter), start) {
                (true, Some(from)) => {
                    pieces.push(&self.text[from..index]);
                    start = None;
                }
                (false, None) => start = Some(index),
                _ => {}
            }
        }
        pieces.extend(start.map(|from| &self.text[from..]));
        pieces
    }
}

/// Follows quotes letter by letter.
#[derive(Debug, Default)]
pub(super) struct Quotes {
    open: Option<char>,
    escaped: bool,
}

impl Quotes {
    /// Whether this letter, the next one, belongs to a quoted text, its quotes included.
    pub(super) fn covers(&mut self, letter: char) -> bool {
        let escaped = std::mem::take(&mut self.escaped);
        match self.open {
            None => {
                self.open = Some(letter).filter(|letter| matches!(letter, '"' | '`' | '\''));
                self.open.is_some()
            }
            Some(open) => {
                if letter == open && !escaped {
                    self.open = None;
                } else if letter == '\\' && open != '`' && !escaped {
                    self.escaped = true;
                }
                true
            }
        }
    }
}
