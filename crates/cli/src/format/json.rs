//! JSON that keeps the order of its members: Docker prints documents as the daemon sent them, and tools have come to
//! compare the text.

use std::fmt;
use std::sync::Arc;

use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// A JSON value; cheap to clone.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Json {
    Null,
    Bool(bool),
    Number(serde_json::Number),
    Text(Arc<str>),
    List(Arc<[Json]>),
    Object(Arc<[(Arc<str>, Json)]>),
}

/// Whether `<`, `>` and `&` are written as Go writes them for the web: `\u003c`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Html {
    Escaped,
    Plain,
}

impl Json {
    /// A text.
    pub(crate) fn text(text: impl AsRef<str>) -> Self {
        Self::Text(text.as_ref().into())
    }

    /// An object with these members, in this order.
    pub(crate) fn object<'a>(members: impl IntoIterator<Item = (&'a str, Json)>) -> Self {
        Self::Object(
            members
                .into_iter()
                .map(|(name, value)| (name.into(), value))
                .collect(),
        )
    }

    /// Any document, its members in the order of its type.
    pub(crate) fn of(document: &impl Serialize) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(&serde_json::to_vec(document)?)
    }

    /// A member of an object.
    pub(crate) fn get(&self, name: &str) -> Option<&Json> {
        match self {
            Self::Object(members) => members
                .iter()
                .find(|(member, _)| &**member == name)
                .map(|(_, value)| value),
            _ => None,
        }
    }

    /// The same object with each member given another name or value.
    pub(crate) fn map(&self, change: impl Fn(&str, &Json) -> (Arc<str>, Json)) -> Self {
        match self {
            Self::Object(members) => Self::Object(
                members
                    .iter()
                    .map(|(name, value)| change(name, value))
                    .collect(),
            ),
            other => other.clone(),
        }
    }

    /// The same object without members that are Go's zero values.
    pub(crate) fn without_zeros(&self) -> Self {
        let is_zero = |value: &Json| match value {
            Self::Null | Self::Bool(false) => true,
            Self::Text(text) => text.is_empty(),
            Self::List(items) => items.is_empty(),
            Self::Object(members) => members.is_empty(),
            Self::Number(number) => number.as_i64() == Some(0),
            Self::Bool(true) => false,
        };
        match self {
            Self::Object(members) => Self::Object(
                members
                    .iter()
                    .filter(|(_, value)| !is_zero(value))
                    .cloned()
                    .collect(),
            ),
            other => other.clone(),
        }
    }

    /// On one line, without spaces.
    pub(crate) fn compact(&self, html: Html) -> String {
        let mut out = String::new();
        self.write(&mut out, html);
        out
    }

    fn write(&self, out: &mut String, html: Html) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(on) => out.push_str(if *on { "true" } else { "false" }),
            Self::Number(number) => out.push_str(&number.to_string()),
            Self::Text(text) => write_text(out, text, html),
            Self::List(items) => {
                write_joined(out, ('[', ']'), items.iter(), |out, item| {
                    item.write(out, html);
                });
            }
            Self::Object(members) => {
                write_joined(out, ('{', '}'), members.iter(), |out, (name, value)| {
                    write_text(out, name, html);
                    out.push(':');
                    value.write(out, html);
                });
            }
        }
    }
}

fn write_joined<T>(
    out: &mut String,
    ends: (char, char),
    items: impl Iterator<Item = T>,
    write: impl Fn(&mut String, T),
) {
    out.push(ends.0);
    for (index, item) in items.enumerate() {
        if index > 0 {
            out.push(',');
        }
        write(out, item);
    }
    out.push(ends.1);
}

/// A text in quotes, escaped as Go does it.
pub(crate) fn write_text(out: &mut String, text: &str, html: Html) {
    use fmt::Write;
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\u{2028}' | '\u{2029}' => {
                let _ = write!(out, "\\u{:04x}", u32::from(letter));
            }
            '<' | '>' | '&' if html == Html::Escaped => {
                let _ = write!(out, "\\u{:04x}", u32::from(letter));
            }
            control if u32::from(control) < 0x20 => {
                let _ = write!(out, "\\u{:04x}", u32::from(control));
            }
            other => out.push(other),
        }
    }
    out.push('"');
}

/// Go's `json.Indent` with four spaces: only the white space changes, so escapes stay as the daemon sent them. `depth`
/// is how deep the text already stands. The text must be JSON.
pub(crate) fn indent(compact: &str, depth: usize) -> String {
    set_in(compact, depth, "    ")
}

/// The same from the left, with another step.
pub(crate) fn indent_with(compact: &str, step: &str) -> String {
    set_in(compact, 0, step)
}

fn set_in(compact: &str, depth: usize, step: &str) -> String {
    let mut out = String::with_capacity(compact.len() * 2);
    let (mut depth, mut in_text, mut escaped) = (depth, false, false);
    let mut just_opened = false;
    for letter in compact.chars() {
        if in_text {
            out.push(letter);
            in_text = escaped || letter != '"';
            escaped = letter == '\\' && !escaped;
            continue;
        }
        if letter.is_ascii_whitespace() {
            continue;
        }
        let closes = matches!(letter, '}' | ']');
        if closes {
            depth = depth.saturating_sub(1);
        }
        // An empty object or list stays on its line.
        if just_opened != closes {
            new_line(&mut out, depth, step);
        }
        just_opened = matches!(letter, '{' | '[');
        out.push(letter);
        match letter {
            '{' | '[' => depth += 1,
            '"' => in_text = true,
            ':' => out.push(' '),
            ',' => new_line(&mut out, depth, step),
            _ => {}
        }
    }
    out
}

fn new_line(out: &mut String, depth: usize, step: &str) {
    out.push('\n');
    out.extend(std::iter::repeat_n(step, depth));
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(JsonVisitor)
    }
}

struct JsonVisitor;

impl<'de> Visitor<'de> for JsonVisitor {
    type Value = Json;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, on: bool) -> Result<Json, E> {
        Ok(Json::Bool(on))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Json, E> {
        Ok(Json::Number(number.into()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Json, E> {
        Ok(Json::Number(number.into()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Json, E> {
        Ok(serde_json::Number::from_f64(number).map_or(Json::Null, Json::Number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Json, E> {
        Ok(Json::text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Json, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = sequence.next_element()? {
            items.push(item);
        }
        Ok(Json::List(items.into()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
        let mut members = Vec::new();
        while let Some((name, value)) = map.next_entry::<String, Json>()? {
            members.push((Arc::from(name), value));
        }
        Ok(Json::Object(members.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_keep_their_order_and_texts_are_escaped_as_go_does() {
        let text = r#"{"b":1,"a":[null,true,-2,1.5,"<x>\n"],"c":{}}"#;
        let json: Json = serde_json::from_str(text).unwrap();
        assert_eq!(json.compact(Html::Plain), text);
        assert!(json.compact(Html::Escaped).contains(r"\u003cx\u003e"));
    }

    #[test]
    fn indenting_changes_white_space_only() {
        let check = |compact: &str, expected: &str| assert_eq!(indent(compact, 0), expected);
        check("{}", "{}");
        check("[ ]", "[]");
        check(
            r#"{"a":[1,{"b":"x,{\"y:"}],"c":{}}"#,
            "{\n    \"a\": [\n        1,\n        {\n            \"b\": \"x,{\\\"y:\"\n        }\n    ],\n    \"c\": {}\n}",
        );
        check(r#"["\\",1]"#, "[\n    \"\\\\\",\n    1\n]");
    }
}
