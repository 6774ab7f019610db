//! `network connect` and `network disconnect`: a container comes to a network, and leaves it.

use api::client::Request;
use api::types::network::{EndpointSettings, NetworkConnectRequest, NetworkDisconnectRequest};

use super::network_rm::path;
use crate::command::{Args, Command, Flag, Order};
use crate::context::Context;
use crate::failure::{Exit, Failure, Outcome};
use crate::flags::Matches;
use crate::options::{key_values, network};

/// The row of the table.
pub(super) static CONNECT: Command = Command {
    paths: &["network connect"],
    about: "Connect a container to a network",
    usage: "[OPTIONS] NETWORK CONTAINER",
    args: Args::Exactly(2),
    order: Order::Anywhere,
    flags: &[&[
        Flag::list("alias", None, "Further name in the network"),
        Flag::list(
            "link",
            None,
            "Know another container there by a name of one's own: CONTAINER[:ALIAS]",
        ),
        Flag::list("driver-opt", None, "Option of the endpoint: NAME=VALUE"),
        Flag::int(
            "gw-priority",
            None,
            "The network with the highest has the default route",
        ),
        Flag::text("ip", None, "IPv4 address"),
        Flag::text("ip6", None, "IPv6 address"),
        Flag::list(
            "link-local-ip",
            None,
            "Further address, such as a link-local one",
        ),
    ]],
    run: connect,
};

/// The row of the table.
pub(super) static DISCONNECT: Command = Command {
    paths: &["network disconnect"],
    about: "Disconnect a container from a network",
    usage: "[OPTIONS] NETWORK CONTAINER",
    args: Args::Exactly(2),
    order: Order::Anywhere,
    flags: &[&[Flag::bool(
        "force",
        Some('f'),
        "One that is not there any more is no error",
    )]],
    run: disconnect,
};

fn connect(context: &Context, matches: &Matches) -> Outcome {
    let mut settings = EndpointSettings {
        aliases: some(matches.texts("alias")),
        links: some(matches.texts("link")),
        driver_opts: Some(key_values(matches.list("driver-opt"))).filter(|all| !all.is_empty()),
        gw_priority: matches.int("gw-priority").unwrap_or(0),
        ..EndpointSettings::default()
    };
    let link_local = matches.texts("link-local-ip");
    if !link_local.is_empty() {
        network::ipam(&mut settings).link_local_ips = link_local;
    }
    for (flag, is_v4) in [("ip", true), ("ip6", false)] {
        if let Some(text) = matches.text(flag).filter(|text| !text.is_empty()) {
            let ipam = network::ipam(&mut settings);
            let place = if is_v4 {
                &mut ipam.ipv4_address
            } else {
                &mut ipam.ipv6_address
            };
            text.clone_into(place);
        }
    }
    let wanted = NetworkConnectRequest {
        container: container(matches)?,
        endpoint_config: Some(settings),
    };
    let request = Request::post(path(&matches.args[0], "/connect")?).body(&wanted);
    context.talk(async |client| Ok(client.call(request).await.map(drop)?))?;
    Ok(Exit::OK)
}

fn disconnect(context: &Context, matches: &Matches) -> Outcome {
    let wanted = NetworkDisconnectRequest {
        container: container(matches)?,
        force: matches.flag("force"),
    };
    let request = Request::post(path(&matches.args[0], "/disconnect")?).body(&wanted);
    context.talk(async |client| Ok(client.call(request).await.map(drop)?))?;
    Ok(Exit::OK)
}

fn container(matches: &Matches) -> Result<String, Failure> {
    match matches.args[1].trim() {
        "" => Err(Failure::new("invalid container name or ID: value is empty")),
        name => Ok(name.to_owned()),
    }
}

fn some(list: Vec<String>) -> Option<Vec<String>> {
    (!list.is_empty()).then_some(list)
}
