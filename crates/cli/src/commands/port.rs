//! `port`: list a container's published ports.

use api::client::Request;
use api::types::container::ContainerInspect;
use api::types::network::{PortBinding, PortMap};

use super::each::path;
use crate::command::{Args, Command, Order};
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::flags::Matches;
use crate::print::print;

/// The row of the table.
pub(super) static COMMAND: Command = Command {
    paths: &["container port", "port"],
    about: "List the published ports of a container",
    usage: "CONTAINER [PRIVATE_PORT[/PROTO]]",
    args: Args::Between(1, 2),
    order: Order::Anywhere,
    flags: &[],
    run,
};

fn run(context: &Context, matches: &Matches) -> Outcome {
    let name = &matches.args[0];
    let container: ContainerInspect =
        context.talk(async |client| Ok(client.json(Request::get(path(name, "json")?)).await?))?;
    let ports = container
        .network_settings
        .and_then(|settings| settings.ports)
        .unwrap_or_default();
    let lines = match matches.args.get(1) {
        Some(port) => one(&ports, name, port)?,
        None => all(&ports),
    };
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    print(&text)
}

/// The host's addresses of one port.
fn one(ports: &PortMap, name: &str, port: &str) -> Result<Vec<String>, Failure> {
    let (number, protocol) = port.split_once('/').unwrap_or((port, "tcp"));
    if number.parse::<u16>().is_err() {
        return Err(Failure::new(format!(
            "Error: invalid port ({number}): strconv.ParseUint: parsing {number:?}: invalid syntax"
        )));
    }
    match ports.get(&format!("{number}/{protocol}")) {
        Some(Some(bindings)) => Ok(bindings.iter().map(address).collect()),
        _ => Err(Failure::new(format!(
            "Error: No public port '{port}' published for {name}"
        ))),
    }
}

fn all(ports: &PortMap) -> Vec<String> {
    let mut published: Vec<_> = ports
        .iter()
        .filter_map(|(port, bindings)| bindings.as_ref().map(|bindings| (port, bindings)))
        .collect();
    published.sort_by_key(|(port, _)| {
        port.split('/')
            .next()
            .and_then(|number| number.parse::<u16>().ok())
    });
    published
        .iter()
        .flat_map(|(port, bindings)| {
            bindings
                .iter()
                .map(move |binding| format!("{port} -> {}", address(binding)))
        })
        .collect()
}

fn address(binding: &PortBinding) -> String {
    let ip = if binding.host_ip.contains(':') {
        format!("[{}]", binding.host_ip)
    } else {
        binding.host_ip.clone()
    };
    format!("{ip}:{}", binding.host_port)
}
