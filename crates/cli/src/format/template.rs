//! Go templates. This module alone knows the crate that runs them.
//!
//! That crate has maps where Go has structs, which differ in three ways that users of `--format` meet; each is mended here:
//! a map's members are sorted (`json` looks up the document that a value came from and prints that), a struct has methods
//! (`.Label "x"` becomes `call .Label "x"`), and a nil slice is not nil (see [`Data`]).

use std::sync::{Arc, Mutex, PoisonError};

use gotmpl::{MissingKey, TemplateError, Value};

use super::check::check;
use super::data::{Data, Origins};
use super::functions;
use super::methods::as_calls;

/// Members that are maps in Go too, not structs.
const MAPS: &[&str] = &[
    "Annotations",
    "Attributes",
    "Details",
    "DriverOpts",
    "ExposedPorts",
    "GraphDriver.Data",
    "Labels",
    "LogConfig.Config",
    "Networks",
    "Options",
    "Ports",
    "StorageOpt",
    "Sysctls",
    "Tmpfs",
    "Volumes",
];

/// A template that has been read.
pub(crate) struct Template {
    name: &'static str,
    source: String,
    inner: gotmpl::Template,
    origins: Arc<Mutex<Origins>>,
}

/// A template that cannot be read or run, in Go's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Error {
    /// It is no template.
    #[error("template: {name}:{message}")]
    Parse { name: String, message: String },
    /// A field that is not there.
    #[error("template: {name}:{at}: can't evaluate field {field} in type {type_name}")]
    NoField {
        name: String,
        at: String,
        field: String,
        type_name: String,
    },
    /// A key that is not there.
    #[error("template: {name}:{at}: map has no entry for key {key:?}")]
    NoKey {
        name: String,
        at: String,
        key: String,
    },
    /// It failed in another way.
    #[error("template: {name}:1: executing {name:?}: {message}")]
    Run { name: String, message: String },
}

/// How a missing field is told.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Missing<'a> {
    /// As one of a Go struct of this type.
    Field(&'a str),
    /// As one of a map.
    Key,
}

impl Template {
    /// Reads a template.
    pub(crate) fn parse(source: &str) -> Result<Self, Error> {
        Self::parse_named("", source)
    }

    /// Reads a template that errors have a name for.
    pub(crate) fn parse_named(name: &'static str, source: &str) -> Result<Self, Error> {
        let origins = Arc::new(Mutex::new(Origins::default()));
        let functions = functions::of_values(&origins);
        Self::with_functions(name, source, functions, origins)
    }

    /// Reads the same template for a table's header: functions leave the titles as they are.
    pub(crate) fn parse_header(source: &str) -> Result<Self, Error> {
        Self::with_functions("", source, functions::of_titles(), Arc::default())
    }

    fn with_functions(
        name: &'static str,
        source: &str,
        functions: gotmpl::FuncMap,
        origins: Arc<Mutex<Origins>>,
    ) -> Result<Self, Error> {
        let inner = gotmpl::Template::new(name)
            .missing_key(MissingKey::Error)
            .funcs(functions)
            .parse(&as_calls(source))
            .map_err(|error| parse_error(name, &error))?;
        check(source).map_err(|(line, message)| Error::Parse {
            name: name.to_owned(),
            message: format!("{line}: {message}"),
        })?;
        Ok(Self {
            name,
            source: source.to_owned(),
            inner,
            origins,
        })
    }

    /// The template as it was written.
    pub(crate) fn source(&self) -> &str {
        &self.source
    }

    /// Runs it. An error leaves nothing printed of this document.
    pub(crate) fn render(&self, data: &Data, missing: Missing<'_>) -> Result<String, Error> {
        self.origins
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone_from(data.origins());
        let rendered = self.inner.execute_to_string(data.value());
        if let Err(TemplateError::MissingKey { key }) = &rendered
            && self.is_asked_of_a_map(key)
        {
            return self.render_with_holes(data);
        }
        // The crate's word for nil is Go's for a map; the documents are structs.
        rendered
            .map(|text| text.replace("<no value>", "<nil>"))
            .map_err(|error| self.run_error(&error, missing))
    }

    /// Whether the template asks one of the documents' true maps for this key: there, Go prints `<no value>`.
    fn is_asked_of_a_map(&self, key: &str) -> bool {
        let asked = |map: &&str| self.source.contains(&format!(".{map}.{key}"));
        MAPS.iter().any(asked)
    }

    /// Runs it with missing keys as `<no value>`.
    fn render_with_holes(&self, data: &Data) -> Result<String, Error> {
        let inner = gotmpl::Template::new(self.name)
            .missing_key(MissingKey::Invalid)
            .funcs(functions::of_values(&self.origins))
            .parse(&as_calls(&self.source))
            .map_err(|error| parse_error(self.name, &error))?;
        let failed = |error: TemplateError| self.run_error(&error, Missing::Key);
        inner.execute_to_string(data.value()).map_err(failed)
    }

    fn run_error(&self, error: &TemplateError, missing: Missing<'_>) -> Error {
        let name = self.name.to_owned();
        let TemplateError::MissingKey { key } = error else {
            let text = error.to_string();
            let message = text
                .strip_prefix("execution error: ")
                .unwrap_or(&text)
                .to_owned();
            return Error::Run { name, message };
        };
        let (at, key) = (self.place_of(key), key.clone());
        match missing {
            Missing::Field(type_name) => Error::NoField {
                name,
                at,
                field: key,
                type_name: type_name.to_owned(),
            },
            Missing::Key => Error::NoKey { name, at, key },
        }
    }

    /// `1:2: executing "" at <.State.Foo>`: where a field is used first.
    fn place_of(&self, field: &str) -> String {
        let is_name = |letter: char| letter.is_alphanumeric() || letter == '_';
        let needle = format!(".{field}");
        let found = self
            .source
            .match_indices(&needle)
            .map(|(start, _)| start)
            .find(|start| !self.source[start + needle.len()..].starts_with(is_name))
            .unwrap_or(0);
        let start = self.source[..found]
            .rfind(|letter: char| !is_name(letter) && letter != '.' && letter != '$')
            .map_or(0, |before| before + 1);
        let chain_end = self.source[found + 1..]
            .find(|letter: char| !is_name(letter) && letter != '.')
            .map_or(self.source.len(), |end| found + 1 + end);
        let line_start = self.source[..found]
            .rfind('\n')
            .map_or(0, |newline| newline + 1);
        let line = self.source[..found].matches('\n').count() + 1;
        let (column, chain) = (found - line_start, &self.source[start..chain_end]);
        format!("{line}:{column}: executing {:?} at <{chain}>", self.name)
    }
}

fn parse_error(name: &str, error: &TemplateError) -> Error {
    let message = match error {
        TemplateError::Parse { line, message, .. } | TemplateError::Lex { line, message, .. } => {
            format!("{line}: {message}")
        }
        other => format!("1: {other}"),
    };
    Error::Parse {
        name: name.to_owned(),
        message,
    }
}

/// A value as a template prints it.
pub(super) fn shown(value: &Value) -> String {
    value.to_string()
}

#[cfg(test)]
mod tests;
