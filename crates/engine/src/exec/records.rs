//! Execs on disk, so that a daemon that starts knows those of its predecessor.
//!
//! ```text
//! containers/<id>/execs.jsonl             a Record a line, appended by the engine when an exec is made
//! containers/<id>/exec-exits.jsonl[.1]    a shim::protocol::ExecExit a line, appended and bounded by the shim
//! ```
//!
//! A line costs one write and no wait for the disk: with the machine the execs are gone too. What runs, the shim knows.
//! Both go with the container's folder; the engine's is written anew once most of its lines are of forgotten execs.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use shim::protocol::{self, ExecExit};

use super::{Exec, ExecOptions, Progress};
use crate::container::Container;
use crate::error::{Context as _, Result};
use crate::shared::Shared;

/// The version of a line of `execs.jsonl`.
const VERSION: u32 = 1;

/// So many lines are no reason to write the file anew.
const FEW: usize = 64;

/// A line of `execs.jsonl`.
#[derive(Debug, Serialize, Deserialize)]
struct Record<O = ExecOptions> {
    version: u32,
    id: String,
    options: O,
}

/// Adds a line for a new exec. Blocks for the file system, not for the disk.
pub(super) fn keep(shared: &Shared, container: &Container, exec: &Exec) -> Result<()> {
    let path = shared.paths.execs(&container.birth.id);
    let known: Vec<Arc<Exec>> = {
        let execs = shared.execs();
        let own = execs.values().filter(|one| one.container == exec.container);
        own.cloned().collect()
    };
    let lines = {
        let mut live = container.live();
        live.exec_lines += 1;
        live.exec_lines
    };
    let kept = if lines > FEW && lines > 2 * (known.len() + 1) {
        container.live().exec_lines = known.len() + 1;
        rewrite(&path, known.iter().map(Arc::as_ref).chain([exec]))
    } else {
        append(&path, &line(exec))
    };
    kept.context(|| format!("write {}", path.display()))
}

fn line(exec: &Exec) -> Vec<u8> {
    let record = Record {
        version: VERSION,
        id: exec.id.clone(),
        options: &exec.options,
    };
    let mut line = serde_json::to_vec(&record).unwrap_or_default();
    line.push(b'\n');
    line
}

/// Nobody else reads them: environments hold secrets.
fn append(path: &Path, line: &[u8]) -> io::Result<()> {
    let mut options = File::options();
    options.append(true).read(true).create(true).mode(0o600);
    linux::durable::append_line(&mut options.open(path)?, line)
}

/// Adds the end of an exec that never ran, which no shim can tell.
pub(super) fn keep_failure(shared: &Shared, exec: &Exec, code: i32) {
    let path = shared.paths.exec_exits(&exec.container);
    let exit = ExecExit {
        version: protocol::VERSION,
        id: exec.id.clone(),
        pid: 0,
        code,
    };
    let mut line = serde_json::to_vec(&exit).unwrap_or_default();
    line.push(b'\n');
    if let Err(error) = append(&path, &line) {
        tracing::warn!(path = %path.display(), %error, "the end of an exec cannot be kept");
    }
}

fn rewrite<'a>(path: &Path, execs: impl Iterator<Item = &'a Exec>) -> io::Result<()> {
    let draft = path.with_extension("draft");
    let bytes: Vec<u8> = execs.flat_map(line).collect();
    match std::fs::remove_file(&draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => append(&draft, &bytes)?,
    }
    std::fs::rename(&draft, path)
}

/// Takes in the execs of a container that an earlier daemon has made. `running`: those the shim names, with their pids;
/// `None` when the container does not run, and then none of its execs does.
pub(crate) fn take_in(shared: &Shared, container: &Container, running: Option<&[(String, u32)]>) {
    let id = &container.birth.id;
    let records = lines::<Record>(&shared.paths.execs(id));
    if records.is_empty() {
        return;
    }
    let exits_path = shared.paths.exec_exits(id);
    let rotated = lines::<ExecExit>(&exits_path.with_extension("jsonl.1"));
    let exits: HashMap<String, ExecExit> = rotated
        .into_iter()
        .chain(lines(&exits_path))
        .map(|exit| (exit.id.clone(), exit))
        .collect();
    container.live().exec_lines = records.len();
    let mut execs = shared.execs();
    for record in records
        .into_iter()
        .filter(|record| record.version <= VERSION)
    {
        let progress = progress(&record.id, &exits, running);
        let exec = Exec::restored(record.id, id.clone(), record.options, progress);
        execs.insert(exec.id.clone(), Arc::new(exec));
    }
}

fn progress(
    id: &str,
    exits: &HashMap<String, ExecExit>,
    running: Option<&[(String, u32)]>,
) -> Progress {
    if let Some(exit) = exits.get(id) {
        return Progress::ended(exit.pid, exit.code);
    }
    match running.map(|running| running.iter().find(|(name, _)| name == id)) {
        Some(Some((_, pid))) => Progress::Running { pid: *pid },
        // Made, and not started yet.
        Some(None) => Progress::Created,
        // Its shim was killed, and everything with it.
        None => Progress::ended(0, super::KILLED),
    }
}

/// The lines of a file that can be read; a writer may have been killed within one.
fn lines<T: serde::de::DeserializeOwned>(path: &Path) -> Vec<T> {
    let text = std::fs::read(path).unwrap_or_default();
    let lines = text.split(|byte| *byte == b'\n');
    lines
        .filter_map(|line| serde_json::from_slice(line).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_was_cut_off_costs_only_itself() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("exec-exits.jsonl");
        std::fs::write(
            &path,
            "{\"version\":1,\"id\":\"a\",\"pid\":7,\"code\":3}\n{\"version\":1,\"id\":\"b\",\"pi",
        )
        .unwrap();
        let exits: HashMap<String, ExecExit> = lines::<ExecExit>(&path)
            .into_iter()
            .map(|exit| (exit.id.clone(), exit))
            .collect();
        assert_eq!(exits.len(), 1);
        append(
            &path,
            b"{\"version\":1,\"id\":\"c\",\"pid\":8,\"code\":0}\n",
        )
        .unwrap();
        assert_eq!(lines::<ExecExit>(&path).len(), 2);
        let runs = [("b".to_owned(), 9)];
        let check = |id, running, expect: (u32, Option<i32>)| {
            let progress = progress(id, &exits, running);
            assert_eq!((progress.pid(), progress.exit_code()), expect, "{id}");
        };
        check("a", Some(&runs[..]), (7, Some(3)));
        check("b", Some(&runs[..]), (9, None));
        check("c", Some(&runs[..]), (0, None));
        check("c", None, (0, Some(137)));
    }
}
