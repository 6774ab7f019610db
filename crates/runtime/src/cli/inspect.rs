//! `state`, `list`, `ps`.

use linux::file;
use linux::spawn::Command;
use oci::runtime::Status;
use serde::Serialize;

use super::Context;
use super::args::{Args, Flag};
use super::state::Saved;
use crate::error::Context as _;
use crate::{Error, Result};

pub(super) const LIST_FLAGS: &[Flag] = &[
    Flag::value("format", Some('f')),
    Flag::switch("quiet", Some('q')),
];
pub(super) const PS_FLAGS: &[Flag] = &[Flag::value("format", Some('f'))];

/// One container as `state` and `list` show it; the names are runc's.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry<'a> {
    oci_version: &'a str,
    id: &'a str,
    pid: u32,
    status: Status,
    bundle: String,
    rootfs: String,
    created: &'a str,
    #[serde(skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    annotations: &'a std::collections::BTreeMap<String, String>,
    owner: &'static str,
}

impl<'a> Entry<'a> {
    fn new(context: &Context, saved: &'a Saved) -> Result<Self> {
        let status = context.store.status(saved)?;
        Ok(Self {
            oci_version: oci::runtime::VERSION,
            id: &saved.id,
            pid: if status == Status::Stopped {
                0
            } else {
                saved.pid
            },
            status,
            bundle: saved.bundle.display().to_string(),
            rootfs: saved.rootfs.display().to_string(),
            created: &saved.created,
            annotations: saved.annotations(),
            owner: "",
        })
    }
}

pub(super) fn state(context: &Context, args: &Args) -> Result<u8> {
    let saved = context.store.load(args.id()?)?;
    print_json(&Entry::new(context, &saved)?)
}

pub(super) fn list(context: &Context, args: &Args) -> Result<u8> {
    let load = |id: &String| match context.store.load(id) {
        Ok(saved) => Some(saved),
        Err(error) => {
            // Made or deleted at this moment, or broken: the others are still to be shown.
            context.log.debug(&error.chain());
            None
        }
    };
    let saved: Vec<Saved> = context.store.ids().iter().filter_map(load).collect();
    if args.has("quiet") {
        saved.iter().for_each(|saved| println!("{}", saved.id));
        return Ok(0);
    }
    let entries = saved
        .iter()
        .map(|saved| Entry::new(context, saved))
        .collect::<Result<Vec<_>>>()?;
    match args.value("format").unwrap_or("table") {
        "json" if entries.is_empty() => print_json(&()),
        "json" => print_json(&entries),
        "table" => {
            print_table(&entries);
            Ok(0)
        }
        _ => Err(Error::invalid("invalid format option")),
    }
}

fn print_table(entries: &[Entry<'_>]) {
    let head = ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"].map(str::to_owned);
    let rows = entries.iter().map(|entry| {
        let owner = if entry.owner.is_empty() {
            "root"
        } else {
            entry.owner
        };
        [
            entry.id,
            &entry.pid.to_string(),
            entry.status.as_str(),
            &entry.bundle,
            entry.created,
            owner,
        ]
        .map(str::to_owned)
    });
    let rows: Vec<[String; 6]> = std::iter::once(head).chain(rows).collect();
    let widths: [usize; 6] = std::array::from_fn(|column| {
        rows.iter()
            .map(|row| row[column].len())
            .max()
            .unwrap_or(0)
            .max(8)
            + 3
    });
    for row in &rows {
        let line: String = row
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        println!("{}", line.trim_end());
    }
}

pub(super) fn ps(context: &Context, args: &Args) -> Result<u8> {
    let saved = context.store.load(args.id()?)?;
    let pids = saved.cgroup()?.pids()?;
    match args.value("format").unwrap_or("table") {
        "json" => print_json(&pids),
        "table" => print_processes(&pids, &args.operands()[1..]),
        _ => Err(Error::invalid("invalid format option")),
    }
}

/// The lines of ps(1) that are of the container.
fn print_processes(pids: &[u32], options: &[String]) -> Result<u8> {
    let default = ["-ef".to_owned()];
    let options = if options.is_empty() {
        &default
    } else {
        options
    };
    let describe = || "failed to run ps";
    let program = ["/usr/bin/ps", "/bin/ps"]
        .into_iter()
        .find(|path| std::path::Path::new(path).exists());
    let program = program.ok_or_else(|| Error::invalid("ps is not installed"))?;
    let (reader, writer) = linux::fd::pipe().context(describe)?;
    let command = options
        .iter()
        .fold(Command::new(program).fd(writer, 1), Command::arg);
    let child = command.spawn().context(describe)?;
    let output = file::read_all(reader, 64 << 20).context(describe)?;
    child.pidfd.wait().context(describe)?;
    let output = String::from_utf8_lossy(&output);
    let mut lines = output.lines();
    let head = lines.next().unwrap_or_default();
    let column = head.split_whitespace().position(|name| name == "PID");
    let column = column.ok_or_else(|| Error::invalid("couldn't find PID field in ps output"))?;
    println!("{head}");
    for line in lines {
        let pid = line
            .split_whitespace()
            .nth(column)
            .and_then(|pid| pid.parse().ok());
        if pid.is_some_and(|pid| pids.contains(&pid)) {
            println!("{line}");
        }
    }
    Ok(0)
}

pub(super) fn print_json(value: &impl Serialize) -> Result<u8> {
    let text =
        serde_json::to_string_pretty(value).map_err(|error| Error::invalid(error.to_string()))?;
    println!("{text}");
    Ok(0)
}
