//! Networks: `network ls`.

use std::sync::Arc;

use api::types::network::Network;

use super::Trunc;
use crate::format::json::Json;
use crate::format::{Field, Sheet, sheet};

/// A network and how to show it.
pub(crate) struct Row {
    pub(crate) network: Network,
    pub(crate) trunc: Trunc,
}

/// Networks.
pub(crate) static SHEET: Sheet<Row> = Sheet {
    fields: &[
        Field {
            name: "CreatedAt",
            title: "CREATED AT",
            value: |row| Json::text(&row.network.created),
        },
        Field {
            name: "Driver",
            title: "DRIVER",
            value: |row| Json::text(&row.network.driver),
        },
        Field {
            name: "ID",
            title: "NETWORK ID",
            value: |row| Json::text(row.trunc.id(&row.network.id)),
        },
        Field {
            name: "IPv4",
            title: "IPV4",
            value: |row| Json::text(row.network.enable_ipv4.to_string()),
        },
        Field {
            name: "IPv6",
            title: "IPV6",
            value: |row| Json::text(row.network.enable_ipv6.to_string()),
        },
        Field {
            name: "Internal",
            title: "INTERNAL",
            value: |row| Json::text(row.network.internal.to_string()),
        },
        Field {
            name: "Labels",
            title: "LABELS",
            value: |row| Json::text(labels(&row.network)),
        },
        Field {
            name: "Name",
            title: "NAME",
            value: |row| Json::text(&row.network.name),
        },
        Field {
            name: "Scope",
            title: "SCOPE",
            value: |row| Json::text(&row.network.scope),
        },
    ],
    table: &["ID", "Name", "Driver", "Scope"],
    raw: Some("network_id: {{.ID}}\nname: {{.Name}}\ndriver: {{.Driver}}\nscope: {{.Scope}}\n"),
    errors: sheet::PARSING,
    type_name: "*network.networkContext",
    label: Some(|row| {
        let labels = row.network.labels.clone();
        Arc::new(move |name| labels.get(name).cloned().unwrap_or_default())
    }),
};

fn labels(network: &Network) -> String {
    let labels = network.labels.iter();
    labels
        .map(|(name, value)| format!("{name}={value}"))
        .collect::<Vec<_>>()
        .join(",")
}
