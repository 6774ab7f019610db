//! What was found: `search`.

use api::types::registry::SearchResult;

use super::Trunc;
use crate::format::json::Json;
use crate::format::{Field, Sheet, sheet};

/// Letters of a description that is shortened.
const DESCRIPTION: usize = 45;

/// One repository.
pub(crate) struct Row {
    pub(crate) result: SearchResult,
    pub(crate) trunc: Trunc,
    pub(crate) marks: Marks,
}

/// How yes and no are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Marks {
    /// `[OK]` or nothing.
    Table,
    /// `true` or `false`, as text.
    Json,
}

/// Repositories.
pub(crate) static SHEET: Sheet<Row> = Sheet {
    fields: &[
        Field {
            name: "Description",
            title: "DESCRIPTION",
            value: |row| Json::text(description(row)),
        },
        Field {
            name: "IsAutomated",
            title: "AUTOMATED",
            value: |row| Json::text(mark(row, row.result.is_automated)),
        },
        Field {
            name: "IsOfficial",
            title: "OFFICIAL",
            value: |row| Json::text(mark(row, row.result.is_official)),
        },
        Field {
            name: "Name",
            title: "NAME",
            value: |row| Json::text(&row.result.name),
        },
        Field {
            name: "StarCount",
            title: "STARS",
            value: |row| Json::text(row.result.star_count.to_string()),
        },
    ],
    table: &["Name", "Description", "StarCount", "IsOfficial"],
    raw: None,
    errors: sheet::PARSING,
    type_name: "*formatter.searchContext",
    label: None,
};

fn mark(row: &Row, on: bool) -> &'static str {
    match (row.marks, on) {
        (Marks::Table, true) => "[OK]",
        (Marks::Table, false) => "",
        (Marks::Json, true) => "true",
        (Marks::Json, false) => "false",
    }
}

/// On one line, and short unless all of it is wanted.
fn description(row: &Row) -> String {
    let line = row.result.description.replace(['\n', '\r'], " ");
    match row.trunc {
        Trunc::Short if line.chars().count() > DESCRIPTION => {
            let start: String = line.chars().take(DESCRIPTION - 1).collect();
            format!("{start}…")
        }
        _ => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::Format;

    fn row(name: &str, description: &str, trunc: Trunc) -> Row {
        let result = SearchResult {
            name: name.into(),
            description: description.into(),
            is_official: name == "busybox",
            star_count: 3,
            ..SearchResult::default()
        };
        Row {
            result,
            trunc,
            marks: Marks::Table,
        }
    }

    #[test]
    fn json_says_true_and_false() {
        let mut official = row("busybox", "", Trunc::Short);
        official.marks = Marks::Json;
        let expect = r#"{"Description":"","IsAutomated":"false","IsOfficial":"true","Name":"busybox","StarCount":"3"}"#;
        let printed = SHEET.print(&Format::Json, &[official]).unwrap();
        assert_eq!(printed.trim_end(), expect);
    }

    #[test]
    fn a_description_has_one_short_line() {
        let rows = [
            row("busybox", "Busybox\nbase image.", Trunc::Short),
            row("x/y", &"abcdefghi ".repeat(6), Trunc::Short),
        ];
        assert_eq!(
            SHEET.print(&Format::Table, &rows).unwrap(),
            "NAME      DESCRIPTION                                     STARS     OFFICIAL\n\
             busybox   Busybox base image.                             3         [OK]\n\
             x/y       abcdefghi abcdefghi abcdefghi abcdefghi abcd…   3         \n"
        );
        let long = "x".repeat(60);
        assert_eq!(description(&row("a", &long, Trunc::Full)), long);
    }
}
