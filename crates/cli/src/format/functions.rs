//! Docker's template functions, beside Go's own.

use std::sync::{Arc, Mutex, PoisonError};

use gotmpl::{FuncMap, TemplateError, Value, ValueFunc};

use super::data::Origins;
use super::template::shown;

/// The function around every action that is no more than a field; no template names it.
pub(super) const SHOWN: &str = "shown_as_go_does";

type Outcome = Result<Value, TemplateError>;

/// Functions for values.
pub(super) fn of_values(origins: &Arc<Mutex<Origins>>) -> FuncMap {
    let of_shown = Arc::clone(origins);
    let shown = move |args: &[Value]| {
        let value = argument(SHOWN, args, 0, 1)?;
        let origins = of_shown.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(origins.shown(value))
    };
    let origins = Arc::clone(origins);
    let json = move |args: &[Value]| {
        let value = argument("json", args, 0, 1)?;
        let origins = origins.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(Value::String(origins.json(value).into()))
    };
    let mut map = FuncMap::new();
    insert(&mut map, "json", json);
    insert(&mut map, SHOWN, shown);
    insert(&mut map, "lower", |args| {
        text("lower", args, str::to_lowercase)
    });
    insert(&mut map, "upper", |args| {
        text("upper", args, str::to_uppercase)
    });
    insert(&mut map, "title", |args| text("title", args, title));
    insert(&mut map, "split", split);
    insert(&mut map, "join", join);
    insert(&mut map, "pad", pad);
    insert(&mut map, "truncate", truncate);
    insert(&mut map, "index", index);
    map
}

/// Functions for titles, which leave them as they are.
pub(super) fn of_titles() -> FuncMap {
    let mut map = FuncMap::new();
    for name in [
        "json", "lower", "upper", "title", "split", "join", "pad", "truncate", SHOWN,
    ] {
        insert(&mut map, name, |args| {
            Ok(args.first().cloned().unwrap_or(Value::Nil))
        });
    }
    map
}

fn insert(
    map: &mut FuncMap,
    name: &str,
    function: impl Fn(&[Value]) -> Outcome + Send + Sync + 'static,
) {
    let function: ValueFunc = Arc::new(function);
    map.insert(name.into(), function);
}

fn argument<'a>(
    name: &str,
    args: &'a [Value],
    index: usize,
    expected: usize,
) -> Result<&'a Value, TemplateError> {
    if args.len() == expected {
        return Ok(&args[index]);
    }
    Err(TemplateError::Exec(format!(
        "wrong number of args for {name}: want {expected} got {}",
        args.len()
    )))
}

fn text_argument<'a>(
    name: &str,
    args: &'a [Value],
    index: usize,
    expected: usize,
) -> Result<&'a str, TemplateError> {
    let value = argument(name, args, index, expected)?;
    value.as_str().ok_or_else(|| {
        TemplateError::Exec(format!(
            "wrong type for value; expected string; got {}",
            value.type_name()
        ))
    })
}

fn number_argument(
    name: &str,
    args: &[Value],
    index: usize,
    expected: usize,
) -> Result<usize, TemplateError> {
    let value = argument(name, args, index, expected)?;
    let number = value
        .as_int()
        .and_then(|number| usize::try_from(number).ok());
    // A width beyond any terminal is a mistake, and would be a way to use up memory.
    number.filter(|number| *number <= 65_536).ok_or_else(|| {
        TemplateError::Exec(format!(
            "wrong type for value; expected int; got {}",
            shown(value)
        ))
    })
}

fn text(name: &str, args: &[Value], change: impl Fn(&str) -> String) -> Outcome {
    Ok(Value::String(
        change(text_argument(name, args, 0, 1)?).into(),
    ))
}

/// Go's `strings.Title`: a letter after none is a capital.
fn title(text: &str) -> String {
    let mut in_word = false;
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        if in_word {
            out.push(letter);
        } else {
            out.extend(letter.to_uppercase());
        }
        in_word = letter.is_alphanumeric() || letter == '_' || letter == '\'';
    }
    out
}

fn split(args: &[Value]) -> Outcome {
    let (text, separator) = (
        text_argument("split", args, 0, 2)?,
        text_argument("split", args, 1, 2)?,
    );
    let pieces: Vec<Value> = if separator.is_empty() {
        text.chars()
            .map(|letter| Value::String(letter.to_string().into()))
            .collect()
    } else {
        text.split(separator)
            .map(|piece| Value::String(piece.into()))
            .collect()
    };
    Ok(Value::List(pieces.into()))
}

fn join(args: &[Value]) -> Outcome {
    let separator = text_argument("join", args, 1, 2)?;
    let pieces: Vec<String> = match argument("join", args, 0, 2)? {
        Value::Nil => Vec::new(),
        Value::List(items) => items.iter().map(shown).collect(),
        Value::Map(map) => map.values().map(shown).collect(),
        other => {
            return Err(TemplateError::Exec(format!(
                "expected slice, got {}",
                other.type_name()
            )));
        }
    };
    Ok(Value::String(pieces.join(separator).into()))
}

fn pad(args: &[Value]) -> Outcome {
    let text = text_argument("pad", args, 0, 3)?;
    let (before, after) = (
        number_argument("pad", args, 1, 3)?,
        number_argument("pad", args, 2, 3)?,
    );
    if text.is_empty() {
        return Ok(Value::String("".into()));
    }
    Ok(Value::String(
        format!("{}{text}{}", " ".repeat(before), " ".repeat(after)).into(),
    ))
}

fn truncate(args: &[Value]) -> Outcome {
    let (text, length) = (
        text_argument("truncate", args, 0, 2)?,
        number_argument("truncate", args, 1, 2)?,
    );
    let end = text
        .char_indices()
        .nth(length)
        .map_or(text.len(), |(index, _)| index);
    Ok(Value::String(text[..end].into()))
}

/// Go's own, but for one thing: in a map of texts, what is not there is the empty text.
fn index(args: &[Value]) -> Outcome {
    let (first, keys) = args.split_first().ok_or_else(|| {
        TemplateError::Exec("wrong number of args for index: want at least 1 got 0".to_owned())
    })?;
    let mut value = first.clone();
    for key in keys {
        let found = value.index(key)?;
        let of_texts =
            matches!(&value, Value::Map(map) if map.values().all(|value| value.as_str().is_some()));
        value = if of_texts && matches!(found, Value::Nil) {
            Value::String("".into())
        } else {
            found
        };
    }
    Ok(value)
}
