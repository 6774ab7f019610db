//! Lists: what their columns are called, and how `--format` prints them.

use std::borrow::Cow;
use std::fmt::Write;
use std::sync::Arc;

use oci::harmless;

use super::columns::{self, Widths};
use super::data::{Data, LabelFn};
use super::json::{Html, Json};
use super::template::{Missing, Template};
use crate::failure::Failure;

/// A list's columns.
pub(crate) struct Sheet<T: 'static> {
    /// Everything a template can name, in the order of the alphabet.
    pub(crate) fields: &'static [Field<T>],
    /// The columns of the plain table, by name.
    pub(crate) table: &'static [&'static str],
    /// What `--format raw` prints, where Docker has that.
    pub(crate) raw: Option<&'static str>,
    /// How Docker tells of a template that cannot be read, and of one that fails.
    pub(crate) errors: [&'static str; 2],
    /// The row's type in Docker's client, for its error text.
    pub(crate) type_name: &'static str,
    /// The method `.Label`, where rows have it.
    pub(crate) label: Option<fn(&T) -> LabelFn>,
}

/// What most lists say of both.
pub(crate) const PARSING: [&str; 2] = ["template parsing error"; 2];

/// What `ps` says.
pub(crate) const TEMPLATE: [&str; 2] = ["failed to parse template", "failed to execute template"];

/// One thing that a list can tell of its rows.
pub(crate) struct Field<T> {
    /// As templates call it.
    pub(crate) name: &'static str,
    /// As the table's head calls it.
    pub(crate) title: &'static str,
    /// What it is for one row.
    pub(crate) value: fn(&T) -> Json,
}

/// What `--format` asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Format {
    /// Docker's table.
    Table,
    /// A table with these columns: `table {{.ID}}\t{{.Names}}`.
    TableOf(String),
    /// One JSON document a row.
    Json,
    /// One `name: value` a line.
    Raw,
    /// A template for each row.
    Template(String),
}

impl Format {
    /// Reads the flag's value; empty is the table.
    pub(crate) fn parse(text: &str) -> Self {
        match text {
            "" | "table" => Self::Table,
            "json" => Self::Json,
            "raw" => Self::Raw,
            _ => match text.strip_prefix("table ") {
                Some(columns) => Self::TableOf(unescape(columns.trim_matches(' '))),
                None => Self::Template(unescape(text.trim_matches(' '))),
            },
        }
    }

    /// Whether a template names a field: what is costly to ask for is asked for only then.
    pub(crate) fn uses(&self, field: &str) -> bool {
        match self {
            Self::TableOf(source) | Self::Template(source) => {
                source.contains(&format!(".{field}")) || source.contains("json .}}")
            }
            Self::Json | Self::Table | Self::Raw => false,
        }
    }
}

/// A shell leaves `\t` in quotes as it is.
fn unescape(text: &str) -> String {
    text.replace("\\t", "\t").replace("\\n", "\n")
}

impl<T> Sheet<T> {
    /// The whole list, ready to print.
    pub(crate) fn print(&self, format: &Format, rows: &[T]) -> Result<String, Failure> {
        self.print_table_of(format, self.table, rows)
    }

    /// The same, with other columns in the plain table.
    pub(crate) fn print_table_of(
        &self,
        format: &Format,
        table: &[&str],
        rows: &[T],
    ) -> Result<String, Failure> {
        match format {
            Format::Table => Ok(self.plain_table(table, rows)),
            Format::TableOf(source) => self.table_of(source, rows),
            Format::Json => Ok(self.json_lines(rows)),
            Format::Raw => self.templated(self.raw.unwrap_or("raw"), rows),
            Format::Template(source) => self.templated(source, rows),
        }
    }

    /// One row as a JSON object.
    pub(crate) fn row(&self, row: &T) -> Json {
        Json::object(
            self.fields
                .iter()
                .map(|field| (field.name, (field.value)(row))),
        )
    }

    fn plain_table(&self, table: &[&str], rows: &[T]) -> String {
        let chosen: Vec<&Field<T>> = table.iter().filter_map(|name| self.field(name)).collect();
        let mut text = chosen
            .iter()
            .map(|field| field.title)
            .collect::<Vec<_>>()
            .join("\t");
        text.push('\n');
        for row in rows {
            for (index, field) in chosen.iter().enumerate() {
                if index > 0 {
                    text.push('\t');
                }
                text.push_str(&cell(&plain(&(field.value)(row))));
            }
            text.push('\n');
        }
        columns::align(&text, Widths::TABLE)
    }

    fn field(&self, name: &str) -> Option<&Field<T>> {
        self.fields.iter().find(|field| field.name == name)
    }

    fn table_of(&self, source: &str, rows: &[T]) -> Result<String, Failure> {
        let body = self.templated(source, rows)?;
        let titles = Json::object(
            self.fields
                .iter()
                .map(|field| (field.name, Json::text(field.title))),
        );
        let titles = Data::row(titles, Some(Arc::new(title_of_label)));
        let head = Template::parse_header(source)
            .and_then(|template| template.render(&titles, Missing::Field(self.type_name)))
            .map_err(|error| self.failure(1, &error))?;
        Ok(columns::align(&format!("{head}\n{body}"), Widths::TABLE))
    }

    fn templated(&self, source: &str, rows: &[T]) -> Result<String, Failure> {
        let template = Template::parse(source).map_err(|error| self.failure(0, &error))?;
        let mut out = String::new();
        for row in rows {
            let data = Data::row(self.row(row), self.label.map(|label| label(row)));
            let line = template
                .render(&data, Missing::Field(self.type_name))
                .map_err(|error| self.failure(1, &error))?;
            out.push_str(&line);
            out.push('\n');
        }
        Ok(out)
    }

    fn failure(&self, which: usize, error: &super::template::Error) -> Failure {
        Failure::new(format!("{}: {error}", self.errors[which]))
    }

    fn json_lines(&self, rows: &[T]) -> String {
        let mut out = String::new();
        for row in rows {
            let _ = writeln!(out, "{}", self.row(row).compact(Html::Escaped));
        }
        out
    }
}

/// A text that ends neither its cell nor its row, whoever wrote it.
fn cell(text: &str) -> String {
    harmless(text).replace('\n', "\\n").replace('\t', " ")
}

fn plain(value: &Json) -> Cow<'_, str> {
    match value {
        Json::Text(text) => Cow::Borrowed(text),
        Json::Null => Cow::Borrowed("<nil>"),
        other => Cow::Owned(other.compact(Html::Plain)),
    }
}

/// The head of a column that is a label: its last part, as words.
fn title_of_label(name: &str) -> String {
    name.rsplit('.')
        .next()
        .unwrap_or(name)
        .replace(['-', '_'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Row(&'static str, &'static str);

    const SHEET: Sheet<Row> = Sheet {
        fields: &[
            Field {
                name: "ID",
                title: "CONTAINER ID",
                value: |row| Json::text(row.0),
            },
            Field {
                name: "Names",
                title: "NAMES",
                value: |row| Json::text(row.1),
            },
        ],
        table: &["ID", "Names"],
        raw: Some("id: {{.ID}}"),
        errors: TEMPLATE,
        type_name: "*formatter.Row",
        label: Some(|row| {
            let name = row.1;
            Arc::new(move |label| format!("{name}:{label}"))
        }),
    };

    #[track_caller]
    fn check(format: &str, expected: &str) {
        let rows = [Row("1", "first"), Row("22", "second")];
        let printed = SHEET
            .print(&Format::parse(format), &rows)
            .map_err(|failure| failure.message);
        assert_eq!(
            printed.unwrap_or_else(|message| message),
            expected,
            "{format}"
        );
    }

    #[test]
    fn every_form_of_format_works() {
        check(
            "",
            "CONTAINER ID   NAMES\n1              first\n22             second\n",
        );
        check("table {{.Names}}", "NAMES\nfirst\nsecond\n");
        check(
            r"table {{.Names}}\t{{upper .ID}}",
            "NAMES     CONTAINER ID\nfirst     1\nsecond    22\n",
        );
        check(
            "json",
            "{\"ID\":\"1\",\"Names\":\"first\"}\n{\"ID\":\"22\",\"Names\":\"second\"}\n",
        );
        check("raw", "id: 1\nid: 22\n");
        check(r"{{.ID}}\t{{.Names}}\n-", "1\tfirst\n-\n22\tsecond\n-\n");
        check(
            r#"table {{.Label "a.b-c_d"}}"#,
            "b c d\nfirst:a.b-c_d\nsecond:a.b-c_d\n",
        );
        check(
            "{{.Foo}}",
            "failed to execute template: template: :1:2: executing \"\" at <.Foo>: can't evaluate field Foo in type *formatter.Row",
        );
        check(
            "{{.Foo",
            "failed to parse template: template: :1: unclosed action",
        );
    }

    #[test]
    fn a_cell_begins_no_row() {
        let rows = [Row("1", "a\r\n2\tb\rc\u{1b}[2J")];
        let printed = SHEET.print(&Format::Table, &rows);
        assert_eq!(
            printed.map_err(|failure| failure.message).unwrap(),
            "CONTAINER ID   NAMES\n1              a\\n2 b\\rc\\u{1b}[2J\n"
        );
    }

    #[test]
    fn a_format_says_what_it_uses() {
        assert!(Format::parse("{{.Size}}").uses("Size"));
        assert!(!Format::parse("{{.ID}}").uses("Size"));
        assert!(!Format::parse("").uses("Size"));
    }
}
