//! What a look at the text of the sources can tell: unsafe, stubs, sizes, and libraries that read their surroundings.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::Findings;
use crate::command::root;
use crate::metadata::{Graph, Member};

/// Above this a file is named in a note.
const LONG: usize = 500;
/// Above this a file is a fault. Tests beside the code may be long.
const TOO_LONG: usize = 900;

/// Crates that take roots and configuration as arguments, and never look around themselves.
const BLIND: &[&str] = &["oci", "linux", "image", "engine", "network", "registry"];
const SURROUNDINGS: &[&str] = &[
    "env::var",
    "env::current_dir",
    "env::home_dir",
    "env::temp_dir",
];

/// Written so that this file does not hold what it looks for.
const STUBS: &[&str] = &[
    concat!("todo", "!("),
    concat!("unimplemented", "!("),
    concat!("dbg", "!("),
];

/// Module names that say nothing.
const VAGUE: &[&str] = &[
    "utils.rs",
    "util.rs",
    "common.rs",
    "helpers.rs",
    "helper.rs",
    "misc.rs",
];

pub(super) fn check(graph: &Graph, findings: &mut Findings) -> Result<()> {
    for member in graph.members() {
        check_roots(member, findings)?;
        for path in rust_files(&member.folder.join("src"))? {
            check_file(member, &path, findings)?;
        }
    }
    Ok(())
}

/// Every crate root but those of `linux` forbids unsafe code, and every package takes the workspace's lints.
fn check_roots(member: &Member, findings: &mut Findings) -> Result<()> {
    let manifest = member.folder.join("Cargo.toml");
    if !read(&manifest)?.contains("[lints]\nworkspace = true") {
        findings.fault(format!(
            "{}: [lints] workspace = true is missing",
            shown(&manifest)
        ));
    }
    if member.name == "linux" {
        return Ok(());
    }
    for root in ["src/lib.rs", "src/main.rs"].map(|name| member.folder.join(name)) {
        if root.exists() && !read(&root)?.contains("#![forbid(unsafe_code)]") {
            findings.fault(format!(
                "{}: #![forbid(unsafe_code)] is missing",
                shown(&root)
            ));
        }
    }
    Ok(())
}

fn check_file(member: &Member, path: &Path, findings: &mut Findings) -> Result<()> {
    let text = read(path)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let of_tests = name == "tests.rs" || path.components().any(|part| part.as_os_str() == "tests");
    let lines = text.lines().count();
    if lines > TOO_LONG && !of_tests {
        findings.fault(format!(
            "{}: {lines} lines, split it (at most {TOO_LONG})",
            shown(path)
        ));
    } else if lines > LONG && !of_tests {
        findings.note(format!("{}: {lines} lines", shown(path)));
    }
    if VAGUE.contains(&&*name) {
        findings.fault(format!("{}: a name that says nothing", shown(path)));
    }
    for (number, line) in text.lines().enumerate() {
        let code = line.trim_start();
        if code.starts_with("//") {
            continue;
        }
        let at = || format!("{}:{}", shown(path), number + 1);
        for stub in STUBS.iter().filter(|stub| code.contains(**stub)) {
            findings.fault(format!("{}: {stub}..)", at()));
        }
        if BLIND.contains(&member.name.as_str()) && !of_tests {
            for word in SURROUNDINGS.iter().filter(|word| code.contains(**word)) {
                findings.fault(format!(
                    "{}: a library does not read {word}: take it as an argument",
                    at()
                ));
            }
        }
    }
    Ok(())
}

fn rust_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).with_context(|| format!("read {}", folder.display()))? {
            let path = entry?.path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("read {}", path.display()))
}

fn shown(path: &Path) -> String {
    path.strip_prefix(root())
        .unwrap_or(path)
        .display()
        .to_string()
}
