//! `--sysctl NAME=VALUE`: only those the kernel keeps per namespace.

const NAMES: &[&str] = &[
    "kernel.msgmax",
    "kernel.msgmnb",
    "kernel.msgmni",
    "kernel.sem",
    "kernel.shmall",
    "kernel.shmmax",
    "kernel.shmmni",
    "kernel.shm_rmid_forced",
];
const PREFIXES: &[&str] = &["net.", "fs.mqueue."];

/// Whether the container may have it.
pub(crate) fn check(text: &str) -> Result<(), String> {
    let known = text.split_once('=').is_some_and(|(name, _)| {
        NAMES.contains(&name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
    });
    if known {
        Ok(())
    } else {
        Err(format!("sysctl '{text}' is not allowed"))
    }
}
