//! The daemon's half of `info`, as text.

use std::fmt::{Display, Write};

use api::types::system::Info;

use crate::format::units::binary_size;

/// Docker's lines, in its order.
pub(crate) fn server(info: &Info) -> String {
    let mut out = String::new();
    counts(&mut out, info);
    storage(&mut out, info);
    plugins(&mut out, info);
    runtimes(&mut out, info);
    security(&mut out, info);
    host(&mut out, info);
    engine(&mut out, info);
    out.push('\n');
    out
}

fn line(out: &mut String, name: &str, value: impl Display) {
    let _ = writeln!(out, " {name}: {value}");
}

fn line_unless_empty(out: &mut String, name: &str, value: &str) {
    if !value.is_empty() {
        line(out, name, value);
    }
}

fn list(out: &mut String, name: &str, values: &[impl Display]) {
    if values.is_empty() {
        return;
    }
    let _ = writeln!(out, " {name}:");
    for value in values {
        let _ = writeln!(out, "  {value}");
    }
}

fn counts(out: &mut String, info: &Info) {
    line(out, "Containers", info.containers);
    line(out, " Running", info.containers_running);
    line(out, " Paused", info.containers_paused);
    line(out, " Stopped", info.containers_stopped);
    line(out, "Images", info.images);
    line_unless_empty(out, "Server Version", &info.server_version);
}

fn storage(out: &mut String, info: &Info) {
    line_unless_empty(out, "Storage Driver", &info.driver);
    for [name, value] in info.driver_status.iter().chain(&info.system_status) {
        let _ = writeln!(out, "  {name}: {value}");
    }
    line_unless_empty(out, "Logging Driver", &info.logging_driver);
    line_unless_empty(out, "Cgroup Driver", &info.cgroup_driver);
    line_unless_empty(out, "Cgroup Version", &info.cgroup_version);
}

fn plugins(out: &mut String, info: &Info) {
    let _ = writeln!(out, " Plugins:");
    line(out, " Volume", info.plugins.volume.join(" "));
    line(out, " Network", info.plugins.network.join(" "));
    if let Some(authorization) = info
        .plugins
        .authorization
        .as_ref()
        .filter(|list| !list.is_empty())
    {
        line(out, " Authorization", authorization.join(" "));
    }
    line(out, " Log", info.plugins.log.join(" "));
    list(out, "CDI spec directories", &info.cdi_spec_dirs);
    line(out, "Swarm", &info.swarm.local_node_state);
}

fn runtimes(out: &mut String, info: &Info) {
    let names: Vec<&str> = info.runtimes.keys().map(String::as_str).collect();
    if !names.is_empty() {
        line(out, "Runtimes", names.join(" "));
    }
    line(out, "Default Runtime", &info.default_runtime);
    line(out, "Init Binary", &info.init_binary);
    line(out, "containerd version", &info.containerd_commit.id);
    line(out, "runc version", &info.runc_commit.id);
    line(out, "init version", &info.init_commit.id);
}

/// `name=seccomp,profile=builtin` as a heading and what belongs to it.
fn security(out: &mut String, info: &Info) {
    if info.security_options.is_empty() {
        return;
    }
    let _ = writeln!(out, " Security Options:");
    for option in &info.security_options {
        let mut parts = option
            .split(',')
            .map(|part| part.split_once('=').unwrap_or(("name", part)));
        if let Some((_, name)) = parts.next() {
            let _ = writeln!(out, "  {name}");
        }
        for (key, value) in parts {
            let key = if key == "profile" { "Profile" } else { key };
            let _ = writeln!(out, "   {key}: {value}");
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "four digits are shown")]
fn host(out: &mut String, info: &Info) {
    line_unless_empty(out, "Kernel Version", &info.kernel_version);
    line_unless_empty(out, "Operating System", &info.operating_system);
    line_unless_empty(out, "OSType", &info.os_type);
    line_unless_empty(out, "Architecture", &info.architecture);
    line(out, "CPUs", info.ncpu);
    line(out, "Total Memory", binary_size(info.mem_total as f64));
    line_unless_empty(out, "Name", &info.name);
    line_unless_empty(out, "ID", &info.id);
    line_unless_empty(out, "Docker Root Dir", &info.docker_root_dir);
}

fn engine(out: &mut String, info: &Info) {
    line(out, "Debug Mode", info.debug);
    if info.debug {
        line(out, " File Descriptors", info.n_fd);
        line(out, " Goroutines", info.n_goroutines);
        line(out, " System Time", &info.system_time);
        line(out, " EventsListeners", info.n_events_listener);
    }
    line_unless_empty(out, "HTTP Proxy", &info.http_proxy);
    line_unless_empty(out, "HTTPS Proxy", &info.https_proxy);
    line_unless_empty(out, "No Proxy", &info.no_proxy);
    list(out, "Labels", info.labels.as_deref().unwrap_or_default());
    line(out, "Experimental", info.experimental_build);
    if let Some(registries) = &info.registry_config {
        let insecure = registries
            .index_configs
            .values()
            .filter(|index| !index.secure)
            .map(|index| index.name.as_str());
        let addresses = registries
            .insecure_registry_cidrs
            .iter()
            .map(String::as_str);
        list(
            out,
            "Insecure Registries",
            &insecure.chain(addresses).collect::<Vec<_>>(),
        );
        list(
            out,
            "Registry Mirrors",
            registries.mirrors.as_deref().unwrap_or_default(),
        );
    }
    line(out, "Live Restore Enabled", info.live_restore_enabled);
    line_unless_empty(out, "Product License", &info.product_license);
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_recorded_info_reads_as_docker_prints_it() {
        let info = serde_json::from_str(include_str!("../../api/fixtures/info.json")).unwrap();
        insta::assert_snapshot!(super::server(&info));
    }
}
