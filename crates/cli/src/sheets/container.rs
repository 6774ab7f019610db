//! Containers: `ps`, and in `system df -v`.

use std::sync::Arc;

use api::types::container::ContainerSummary;

use super::ports::ports;
use super::quote::quote;
use super::{Trunc, short_id};
use crate::format::json::Json;
use crate::format::{Field, Sheet, sheet, time, units};

/// A container and how to show it.
pub(crate) struct Row {
    pub(crate) container: ContainerSummary,
    pub(crate) trunc: Trunc,
}

/// The columns of `ps`.
pub(crate) const PS: &[&str] = &[
    "ID",
    "Image",
    "Command",
    "RunningFor",
    "Status",
    "Ports",
    "Names",
];

/// The columns of `ps -s`.
pub(crate) const PS_SIZE: &[&str] = &[
    "ID",
    "Image",
    "Command",
    "RunningFor",
    "Status",
    "Ports",
    "Names",
    "Size",
];

/// The columns of `system df -v`.
pub(crate) const DISK: &[&str] = &[
    "ID",
    "Image",
    "Command",
    "LocalVolumes",
    "Size",
    "RunningFor",
    "Status",
    "Names",
];

/// Containers.
pub(crate) static SHEET: Sheet<Row> = Sheet {
    fields: &[
        Field {
            name: "Command",
            title: "COMMAND",
            value: |row| Json::text(command(row)),
        },
        Field {
            name: "CreatedAt",
            title: "CREATED AT",
            value: |row| Json::text(time::go_text(row.container.created)),
        },
        Field {
            name: "ID",
            title: "CONTAINER ID",
            value: |row| Json::text(row.trunc.id(&row.container.id)),
        },
        Field {
            name: "Image",
            title: "IMAGE",
            value: |row| Json::text(image(row)),
        },
        Field {
            name: "Labels",
            title: "LABELS",
            value: |row| Json::text(labels(&row.container)),
        },
        Field {
            name: "LocalVolumes",
            title: "LOCAL VOLUMES",
            value: |row| Json::text(local_volumes(&row.container)),
        },
        Field {
            name: "Mounts",
            title: "MOUNTS",
            value: |row| Json::text(mounts(row)),
        },
        Field {
            name: "Names",
            title: "NAMES",
            value: |row| Json::text(names(row)),
        },
        Field {
            name: "Networks",
            title: "NETWORKS",
            value: |row| Json::text(networks(&row.container)),
        },
        Field {
            name: "Platform",
            title: "PLATFORM",
            value: |_| Json::Null,
        },
        Field {
            name: "Ports",
            title: "PORTS",
            value: |row| Json::text(ports(&row.container.ports)),
        },
        Field {
            name: "RunningFor",
            title: "CREATED",
            value: |row| Json::text(time::ago(row.container.created)),
        },
        Field {
            name: "Size",
            title: "SIZE",
            value: |row| Json::text(size(&row.container)),
        },
        Field {
            name: "State",
            title: "STATE",
            value: |row| Json::text(&row.container.state),
        },
        Field {
            name: "Status",
            title: "STATUS",
            value: |row| Json::text(&row.container.status),
        },
    ],
    table: PS,
    raw: Some(
        "container_id: {{.ID}}\nimage: {{.Image}}\ncommand: {{.Command}}\ncreated_at: {{.CreatedAt}}\nstate: \
         {{- pad .State 1 0}}\nstatus: {{- pad .Status 1 0}}\nnames: {{.Names}}\nlabels: {{- pad .Labels 1 0}}\nports: \
         {{- pad .Ports 1 0}}\n",
    ),
    errors: sheet::TEMPLATE,
    type_name: "*formatter.ContainerContext",
    label: Some(|row| {
        let labels = row.container.labels.clone().unwrap_or_default();
        Arc::new(move |name| labels.get(name).cloned().unwrap_or_default())
    }),
};

fn command(row: &Row) -> String {
    match row.trunc {
        Trunc::Short => quote(&units::ellipsis(&row.container.command, 20)),
        Trunc::Full => quote(&row.container.command),
    }
}

/// The name that was given; the short id if that is what was given; without a digest unless all is to be told.
fn image(row: &Row) -> String {
    let (name, id) = (
        row.container.image.as_str(),
        row.container.image_id.as_str(),
    );
    if name.is_empty() {
        return "<no image>".to_owned();
    }
    if row.trunc == Trunc::Full {
        return name.to_owned();
    }
    if !id.is_empty() && short_id(id) == short_id(name) {
        return short_id(name).to_owned();
    }
    match name.parse::<oci::Reference>() {
        Ok(reference) => reference.without_digest().familiar(),
        Err(_) => name.to_owned(),
    }
}

fn labels(container: &ContainerSummary) -> String {
    let labels = container.labels.iter().flatten();
    labels
        .map(|(name, value)| format!("{name}={value}"))
        .collect::<Vec<_>>()
        .join(",")
}

fn local_volumes(container: &ContainerSummary) -> String {
    container
        .mounts
        .iter()
        .filter(|mount| mount.driver == "local")
        .count()
        .to_string()
}

fn mounts(row: &Row) -> String {
    let name = |mount: &api::types::mount::MountPoint| {
        let name = if mount.name.is_empty() {
            &mount.source
        } else {
            &mount.name
        };
        match row.trunc {
            Trunc::Short => units::ellipsis(name, 15),
            Trunc::Full => name.clone(),
        }
    };
    row.container
        .mounts
        .iter()
        .map(name)
        .collect::<Vec<_>>()
        .join(",")
}

/// Without the slash; names that links gave (`/a/b`) only if all is to be told.
fn names(row: &Row) -> String {
    let names = row
        .container
        .names
        .iter()
        .map(|name| name.strip_prefix('/').unwrap_or(name));
    let shown = names.filter(|name| row.trunc == Trunc::Full || !name.contains('/'));
    shown.collect::<Vec<_>>().join(",")
}

fn networks(container: &ContainerSummary) -> String {
    let networks = container
        .network_settings
        .iter()
        .flat_map(|settings| settings.networks.iter().flatten());
    networks
        .map(|(name, _)| name.as_str())
        .collect::<Vec<_>>()
        .join(",")
}

#[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
fn size(container: &ContainerSummary) -> String {
    let written = units::short_size(container.size_rw as f64);
    if container.size_root_fs > 0 {
        return format!(
            "{written} (virtual {})",
            units::short_size(container.size_root_fs as f64)
        );
    }
    written
}
