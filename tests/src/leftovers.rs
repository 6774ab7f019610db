//! What a daemon left behind: processes, mounts, cgroups, network devices that carry its mark.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::wait::process_end;

/// What belongs to one daemon, by the folder it works in and its cgroup parent. Both are unlike any other's.
#[derive(Clone)]
pub struct Leftovers {
    folder: PathBuf,
    cgroup: String,
}

impl Leftovers {
    pub fn new(folder: &Path, cgroup: &str) -> Leftovers {
        Leftovers {
            folder: folder.to_owned(),
            cgroup: cgroup.trim_matches('/').to_owned(),
        }
    }

    /// Asserts that nothing is there. A process that is just ending gets time to end.
    pub fn assert_none(&self) {
        let processes = self.processes();
        for (pid, _) in &processes {
            process_end(*pid, Duration::from_secs(10));
        }
        let mut found: Vec<String> = self
            .processes()
            .into_iter()
            .map(|(_, words)| words)
            .collect();
        found.extend(self.mounts());
        found.extend(
            self.cgroups()
                .into_iter()
                .map(|path| format!("cgroup {}", path.display())),
        );
        assert!(found.is_empty(), "left behind:\n{}", found.join("\n"));
    }

    /// Processes that name the folder or sit in a cgroup below the parent, with what tells them.
    pub fn processes(&self) -> Vec<(u32, String)> {
        let folder = self.folder.to_string_lossy();
        let numbers = entries(Path::new("/proc"))
            .into_iter()
            .filter_map(|name| name.parse::<u32>().ok());
        let ours = numbers
            .filter(|pid| *pid != std::process::id())
            .filter_map(|pid| {
                let read = |file: &str| fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
                let words = String::from_utf8_lossy(&read("cmdline")).replace('\0', " ");
                let cgroups = String::from_utf8_lossy(&read("cgroup")).into_owned();
                let state = String::from_utf8_lossy(&read("stat"))
                    .rsplit(") ")
                    .next()?
                    .chars()
                    .next()?;
                // A shim's command line names only its container; it works in the bundle's folder.
                let works_in = fs::read_link(format!("/proc/{pid}/cwd"))
                    .is_ok_and(|cwd| cwd.starts_with(&self.folder));
                let mine = words.contains(&*folder) || cgroups.contains(&self.cgroup) || works_in;
                (mine && state != 'Z').then(|| (pid, format!("process {pid} ({state}): {words}")))
            });
        ours.collect()
    }

    /// Mounts of our own mount namespace below the folder.
    pub fn mounts(&self) -> Vec<String> {
        let table = fs::read_to_string("/proc/self/mountinfo").expect("read mountinfo");
        let folder = self.folder.to_string_lossy();
        table
            .lines()
            .filter(|line| line.contains(&*folder))
            .map(|line| format!("mount {line}"))
            .collect()
    }

    /// Cgroups below the parent, in every hierarchy; the parent itself is not one of them.
    pub fn cgroups(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        for parent in self.parents() {
            found.extend(
                entries(&parent)
                    .into_iter()
                    .map(|name| parent.join(name))
                    .filter(|path| path.is_dir()),
            );
        }
        found
    }

    /// Takes away the parent cgroup itself, where it is empty.
    pub fn remove_parents(&self) {
        for parent in self.parents() {
            let _ = fs::remove_dir(parent);
        }
    }

    /// The parent cgroup, in every hierarchy that has it.
    pub fn parents(&self) -> Vec<PathBuf> {
        let root = Path::new("/sys/fs/cgroup");
        let hierarchies = entries(root)
            .into_iter()
            .map(|name| root.join(name))
            .chain([root.to_owned()]);
        hierarchies
            .map(|hierarchy| hierarchy.join(&self.cgroup))
            .filter(|path| path.is_dir())
            .collect()
    }
}

fn entries(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}
