//! What `cargo metadata` says of the workspace: its packages, and which of them reaches what.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::command::{cargo, output};

/// The resolved packages, with the edges that end up in a binary (no dev and no build dependencies).
pub(crate) struct Graph {
    names: BTreeMap<String, String>,
    edges: BTreeMap<String, BTreeSet<String>>,
    members: Vec<Member>,
}

/// A package of the workspace.
pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) folder: PathBuf,
    id: String,
}

impl Graph {
    /// Asks cargo, for the host's platform only.
    pub(crate) fn load() -> Result<Graph> {
        let json = output(cargo().args([
            "metadata",
            "--format-version",
            "1",
            "--filter-platform",
            "host-tuple",
        ]))
        .or_else(|_| output(cargo().args(["metadata", "--format-version", "1"])))?;
        Graph::parse(&serde_json::from_str(&json)?)
            .context("cargo metadata has another shape than expected")
    }

    fn parse(metadata: &Value) -> Option<Graph> {
        let mut names = BTreeMap::new();
        let mut members = Vec::new();
        let ours: BTreeSet<&str> = metadata["workspace_members"]
            .as_array()?
            .iter()
            .filter_map(Value::as_str)
            .collect();
        for package in metadata["packages"].as_array()? {
            let (id, name) = (package["id"].as_str()?, package["name"].as_str()?);
            names.insert(id.to_owned(), name.to_owned());
            if ours.contains(id) {
                let folder = PathBuf::from(package["manifest_path"].as_str()?)
                    .parent()?
                    .to_owned();
                members.push(Member {
                    name: name.to_owned(),
                    folder,
                    id: id.to_owned(),
                });
            }
        }
        let mut edges: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for node in metadata["resolve"]["nodes"].as_array()? {
            let linked = node["deps"].as_array()?.iter().filter(|dep| is_linked(dep));
            let linked = linked
                .filter_map(|dep| dep["pkg"].as_str())
                .map(str::to_owned)
                .collect();
            edges.insert(node["id"].as_str()?.to_owned(), linked);
        }
        Some(Graph {
            names,
            edges,
            members,
        })
    }

    pub(crate) fn members(&self) -> &[Member] {
        &self.members
    }

    /// The workspace's packages that `member` names as dependencies.
    pub(crate) fn own_dependencies(&self, member: &Member) -> BTreeSet<&str> {
        let ours: BTreeSet<&str> = self
            .members
            .iter()
            .map(|member| member.id.as_str())
            .collect();
        let direct = self.edges.get(&member.id).into_iter().flatten();
        direct
            .filter(|id| ours.contains(id.as_str()))
            .map(|id| self.names[id].as_str())
            .collect()
    }

    /// The names of all packages that end up in what is built from `member`, itself not counted.
    pub(crate) fn reach(&self, member: &Member) -> BTreeSet<&str> {
        let mut seen = BTreeSet::from([member.id.as_str()]);
        let mut open = vec![member.id.as_str()];
        while let Some(id) = open.pop() {
            for next in self.edges.get(id).into_iter().flatten() {
                if seen.insert(next) {
                    open.push(next);
                }
            }
        }
        seen.remove(member.id.as_str());
        seen.into_iter()
            .filter_map(|id| self.names.get(id))
            .map(String::as_str)
            .collect()
    }
}

/// Whether a dependency is of the kind that is linked: `kind` is null for that, "dev" or "build" otherwise.
fn is_linked(dependency: &Value) -> bool {
    dependency["dep_kinds"]
        .as_array()
        .is_some_and(|kinds| kinds.iter().any(|kind| kind["kind"].is_null()))
}
