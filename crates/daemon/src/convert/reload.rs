//! What the event of a reload tells: the settings now in force, in Docker's names.

use std::collections::BTreeMap;

use engine::{Insecure, Mirror};
use image::{Expendable, GcPolicy, KeepFree};

use crate::config::Config;

/// Attributes of the event; lists are JSON in a string, as in Docker.
pub(crate) fn attributes(config: &Config) -> BTreeMap<String, String> {
    let registries = &config.registries;
    let client = &registries.client;
    let list = |texts: Vec<String>| serde_json::Value::from(texts).to_string();
    let insecure = client.insecure.iter().map(|one| match one {
        Insecure::Host(host) => host.clone(),
        Insecure::Network { address, prefix } => format!("{address}/{prefix}"),
    });
    let mirrors = client.mirrors.iter().map(mirror);
    let runtimes = config.runtimes.keys().cloned().collect();
    [
        ("debug", config.debug.to_string()),
        (
            "default-registry",
            registries.unqualified.first().cloned().unwrap_or_default(),
        ),
        ("default-runtime", config.default_runtime.clone()),
        (
            "gc",
            config.gc.as_ref().map_or_else(|| "off".to_owned(), gc),
        ),
        ("insecure-registries", list(insecure.collect())),
        ("labels", list(config.labels.clone())),
        ("max-concurrent-downloads", registries.downloads.to_string()),
        ("max-concurrent-uploads", registries.uploads.to_string()),
        ("max-download-attempts", client.attempts.to_string()),
        ("name", crate::host::hostname()),
        ("registry-mirrors", list(mirrors.collect())),
        ("runtimes", list(runtimes)),
        ("search-registries", list(registries.search.clone())),
        ("shutdown-timeout", config.shutdown_timeout.to_string()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

/// As it is written in daemon.json, without units.
fn gc(policy: &GcPolicy) -> String {
    let keep_free = match policy.keep_free {
        KeepFree::Bytes(bytes) => bytes.to_string(),
        KeepFree::Percent(percent) => format!("{percent}%"),
    };
    let unused = match policy.expendable {
        Expendable::Dangling => "dangling",
        Expendable::Unused => "unused",
    };
    let age = format!("{}s", policy.min_age.as_secs());
    serde_json::json!({"keep-free": keep_free, "policy": unused, "min-age": age}).to_string()
}

/// As `registry-mirrors` has it: one of Docker Hub's by its address alone, as in Docker.
pub(super) fn mirror(mirror: &Mirror) -> String {
    match mirror.registry.as_deref() {
        Some("docker.io") => mirror.url.to_string(),
        Some(registry) => format!("{registry}={}", mirror.url),
        None => format!("*={}", mirror.url),
    }
}
