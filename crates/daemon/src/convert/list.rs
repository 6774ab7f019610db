//! A container as `ps` shows it.

use std::collections::HashMap;

use api::types::container::{ContainerSummary, HostConfigSummary, Port};
use api::types::network::NetworkSettingsSummary;
use engine::{ContainerView, PortView};
use jiff::Timestamp;
use oci::Digest;

use super::{inspect, network, status_text};

/// What each name that containers were made from means today, for every platform; a name that means nothing is missing.
pub(crate) type ImageNames = HashMap<String, Vec<Digest>>;

/// One entry of the list at the moment `now`.
pub(crate) fn summary(
    view: &ContainerView,
    now: Timestamp,
    names: &ImageNames,
) -> ContainerSummary {
    ContainerSummary {
        id: view.id.to_string(),
        names: all_names(view),
        image: image_name(view, names),
        image_id: view
            .image
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default(),
        command: command(&view.path, &view.args),
        created: view.created.as_second(),
        ports: view.ports.iter().flat_map(ports).collect(),
        size_rw: view.size.map_or(0, |s| inspect::signed(s.rw)),
        size_root_fs: view.size.map_or(0, |s| inspect::signed(s.root_fs)),
        labels: Some(view.options.labels.clone()),
        state: view.state.status.as_str().to_owned(),
        status: status_text::status(&view.state, now),
        host_config: HostConfigSummary {
            network_mode: inspect::network_mode(view).to_owned(),
            annotations: view.options.host.annotations.clone(),
        },
        health: None,
        network_settings: Some(NetworkSettingsSummary {
            networks: Some(network::places(&view.networks)),
        }),
        mounts: inspect::mounts(view),
    }
}

/// Its own name, and those that links gave it.
fn all_names(view: &ContainerView) -> Vec<String> {
    let all = std::iter::once(&view.name).chain(&view.linked_as);
    let mut all: Vec<String> = all.map(|name| format!("/{name}")).collect();
    all.sort();
    all
}

/// A port once for each address that it is published on, or else once.
fn ports(view: &PortView) -> Vec<Port> {
    let plain = Port {
        private_port: view.number,
        r#type: view.protocol.clone(),
        ..Port::default()
    };
    if view.bindings.is_empty() {
        return vec![plain];
    }
    let bound = view.bindings.iter().map(|(address, number)| Port {
        ip: address.to_string(),
        public_port: number.unwrap_or_default(),
        ..plain.clone()
    });
    bound.collect()
}

/// The image as the user named it, or its id when that name has moved on to another image.
fn image_name(view: &ContainerView, names: &ImageNames) -> String {
    let said = &view.options.image;
    match &view.image {
        Some(id) if !names.get(said).is_some_and(|of| of.contains(id)) => id.to_string(),
        _ => said.clone(),
    }
}

/// The program and its arguments; those with spaces in quotes, as Docker has it.
fn command(path: &str, args: &[String]) -> String {
    let mut text = path.to_owned();
    for arg in args {
        text.push(' ');
        if arg.contains(' ') {
            text.push_str(&format!("'{arg}'"));
        } else {
            text.push_str(arg);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    #[test]
    fn commands() {
        let args = ["-c".to_owned(), "echo hi".to_owned()];
        assert_eq!(super::command("sh", &args), "sh -c 'echo hi'");
        assert_eq!(super::command("sh", &[]), "sh");
    }
}
