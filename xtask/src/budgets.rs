//! Budgets on what does not flicker: how large tare-shim is and how many crates it links.

use std::fs;

use anyhow::{Context as _, Result, bail};

use crate::command::{binaries, dist};
use crate::metadata::Graph;

/// The size of tare-shim as shipped, in bytes. One exists per container; its pages are shared, but it must start fast. The keeper, with
/// the names of networks, is a fifth of a megabyte of it.
const SHIM_BYTES: u64 = 4_000_000;
/// The packages that tare-shim links, the workspace's own counted.
const SHIM_CRATES: usize = 40;

pub(crate) fn run() -> Result<()> {
    let graph = Graph::load()?;
    let shim = graph
        .members()
        .iter()
        .find(|member| member.name == "shim")
        .context("no package shim")?;
    let crates = graph.reach(shim);
    dist(&["shim"])?;
    let path = binaries("dist")?.join("tare-shim");
    let size = fs::metadata(&path)
        .with_context(|| format!("stat {}", path.display()))?
        .len();
    println!(
        "budget: tare-shim has {size} bytes (at most {SHIM_BYTES}) and links {} crates (at most {SHIM_CRATES})",
        crates.len()
    );
    if size > SHIM_BYTES {
        bail!("tare-shim has outgrown its budget: cargo bloat --profile dist -p shim tells where");
    }
    if crates.len() > SHIM_CRATES {
        bail!("tare-shim links more crates than its budget allows: {crates:?}");
    }
    Ok(())
}
