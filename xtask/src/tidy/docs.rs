//! The pages that must keep up with the sources.

use std::fs;

use anyhow::Result;

use super::Findings;
use crate::command::root;
use crate::metadata::Graph;

/// Packages that a reader of ARCHITECTURE.md need not be told of one by one.
const TOOLS: &[&str] = &["xtask", "tests", "bench", "replay"];

pub(super) fn check(graph: &Graph, findings: &mut Findings) -> Result<()> {
    let architecture = page("ARCHITECTURE.md", findings);
    let state = page("docs/state.md", findings);
    for name in ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "LICENSE"] {
        page(name, findings);
    }
    for member in graph
        .members()
        .iter()
        .filter(|member| !TOOLS.contains(&member.name.as_str()))
    {
        if let Some(text) = &architecture
            && !names(text, &member.name)
        {
            findings.fault(format!(
                "ARCHITECTURE.md does not name the crate {}",
                member.name
            ));
        }
        // Structs that reach the disk live in `state.rs`; their paths and versions stand in docs/state.md.
        if let Some(text) = &state
            && member.folder.join("src/state.rs").exists()
            && !names(text, &member.name)
        {
            findings.fault(format!(
                "docs/state.md does not name the crate {}, which has a state.rs",
                member.name
            ));
        }
    }
    Ok(())
}

/// The page's text; where it is missing, a fault and nothing.
fn page(name: &str, findings: &mut Findings) -> Option<String> {
    let text = fs::read_to_string(root().join(name)).ok();
    if text.is_none() {
        findings.fault(format!("{name} is missing"));
    }
    text
}

/// Whether `text` names the crate as code: `name`, `name/` or `crates/name`.
fn names(text: &str, crate_name: &str) -> bool {
    [
        format!("`{crate_name}`"),
        format!("{crate_name}/"),
        format!("crates/{crate_name}"),
    ]
    .iter()
    .any(|form| text.contains(form))
}
