//! Volumes: `volume ls`, and in `system df -v`.

use std::sync::Arc;

use api::types::volume::Volume;

use crate::format::json::Json;
use crate::format::{Field, Sheet, sheet, units};

/// The columns of `system df -v`.
pub(crate) const DISK: &[&str] = &["Name", "Links", "Size"];

/// Volumes.
pub(crate) static SHEET: Sheet<Volume> = Sheet {
    fields: &[
        Field {
            name: "Availability",
            title: "AVAILABILITY",
            value: |_| Json::text("N/A"),
        },
        Field {
            name: "Driver",
            title: "DRIVER",
            value: |volume| Json::text(&volume.driver),
        },
        Field {
            name: "Group",
            title: "GROUP",
            value: |_| Json::text("N/A"),
        },
        Field {
            name: "Labels",
            title: "LABELS",
            value: |volume| Json::text(labels(volume)),
        },
        Field {
            name: "Links",
            title: "LINKS",
            value: |volume| Json::text(links(volume)),
        },
        Field {
            name: "Mountpoint",
            title: "MOUNTPOINT",
            value: |volume| Json::text(&volume.mountpoint),
        },
        Field {
            name: "Name",
            title: "VOLUME NAME",
            value: |volume| Json::text(&volume.name),
        },
        Field {
            name: "Scope",
            title: "SCOPE",
            value: |volume| Json::text(&volume.scope),
        },
        Field {
            name: "Size",
            title: "SIZE",
            value: |volume| Json::text(volume_size(volume)),
        },
        Field {
            name: "Status",
            title: "STATUS",
            value: |_| Json::text("N/A"),
        },
    ],
    table: &["Driver", "Name"],
    raw: Some("name: {{.Name}}\ndriver: {{.Driver}}\n"),
    errors: sheet::PARSING,
    type_name: "*formatter.volumeContext",
    label: Some(|volume| {
        let labels = volume.labels.clone().unwrap_or_default();
        Arc::new(move |name| labels.get(name).cloned().unwrap_or_default())
    }),
};

fn labels(volume: &Volume) -> String {
    let labels = volume.labels.iter().flatten();
    labels
        .map(|(name, value)| format!("{name}={value}"))
        .collect::<Vec<_>>()
        .join(",")
}

fn links(volume: &Volume) -> String {
    volume
        .usage_data
        .as_ref()
        .map_or_else(|| "N/A".to_owned(), |data| data.ref_count.to_string())
}

fn volume_size(volume: &Volume) -> String {
    volume
        .usage_data
        .as_ref()
        .map_or_else(|| "N/A".to_owned(), |data| size(data.size))
}

fn size(bytes: i64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "four digits are shown")]
    let bytes = bytes as f64;
    units::human_size(bytes)
}
