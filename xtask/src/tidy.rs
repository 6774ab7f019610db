//! `cargo xtask tidy`: holds the sources against the design, so that the design stays true.

mod docs;
mod layers;
mod sources;

use anyhow::{Result, bail};

use crate::metadata::Graph;

/// What tidy found. A fault fails the run, a note does not.
#[derive(Default)]
pub(crate) struct Findings {
    faults: Vec<String>,
    notes: Vec<String>,
}

impl Findings {
    fn fault(&mut self, text: String) {
        self.faults.push(text);
    }

    fn note(&mut self, text: String) {
        self.notes.push(text);
    }
}

/// Runs every check and prints what they found.
pub(crate) fn run() -> Result<()> {
    let graph = Graph::load()?;
    let mut findings = Findings::default();
    layers::check(&graph, &mut findings);
    sources::check(&graph, &mut findings)?;
    docs::check(&graph, &mut findings)?;
    for note in &findings.notes {
        println!("note: {note}");
    }
    for fault in &findings.faults {
        println!("tidy: {fault}");
    }
    if !findings.faults.is_empty() {
        bail!("tidy: {} faults", findings.faults.len());
    }
    println!("tidy: {} crates in their layers", graph.members().len());
    Ok(())
}
