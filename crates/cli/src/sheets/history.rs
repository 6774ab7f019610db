//! Steps of an image: `history`.

use api::types::image::HistoryItem;

use super::{Trunc, YEAR_ONE};
use crate::format::json::Json;
use crate::format::{Field, Sheet, sheet, time, units};

/// A step and how to show it.
pub(crate) struct Row {
    pub(crate) step: HistoryItem,
    pub(crate) trunc: Trunc,
    pub(crate) style: Style,
}

/// For whom sizes and times are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    Human,
    Machine,
}

/// The columns.
pub(crate) const HUMAN: &[&str] = &["ID", "CreatedSince", "CreatedBy", "Size", "Comment"];

/// The columns of `--human=false`.
pub(crate) const MACHINE: &[&str] = &["ID", "CreatedAt", "CreatedBy", "Size", "Comment"];

/// Steps, the newest first.
pub(crate) static SHEET: Sheet<Row> = Sheet {
    fields: &[
        Field {
            name: "Comment",
            title: "COMMENT",
            value: |row| Json::text(&row.step.comment),
        },
        Field {
            name: "CreatedAt",
            title: "CREATED AT",
            value: |row| Json::text(time::rfc3339(row.step.created)),
        },
        Field {
            name: "CreatedBy",
            title: "CREATED BY",
            value: |row| Json::text(created_by(row)),
        },
        Field {
            name: "CreatedSince",
            title: "CREATED",
            value: |row| Json::text(created_since(row)),
        },
        Field {
            name: "ID",
            title: "IMAGE",
            value: |row| Json::text(row.trunc.id(&row.step.id)),
        },
        Field {
            name: "Size",
            title: "SIZE",
            value: |row| Json::text(size(row)),
        },
    ],
    table: HUMAN,
    raw: None,
    errors: sheet::PARSING,
    type_name: "*image.historyContext",
    label: None,
};

fn created_by(row: &Row) -> String {
    let step = row.step.created_by.replace('\t', " ");
    match row.trunc {
        Trunc::Short => units::ellipsis(&step, 45),
        Trunc::Full => step,
    }
}

fn created_since(row: &Row) -> String {
    match row.style {
        // Where nothing is said, the daemon tells the year one or the epoch.
        _ if row.step.created == YEAR_ONE || row.step.created == 0 => "N/A".to_owned(),
        Style::Human => time::ago(row.step.created),
        Style::Machine => time::rfc3339(row.step.created),
    }
}

#[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
fn size(row: &Row) -> String {
    match row.style {
        Style::Human => units::short_size(row.step.size as f64),
        Style::Machine => row.step.size.to_string(),
    }
}
