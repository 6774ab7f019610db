//! `top`: what runs in a container, in the columns of `ps -ef`, read from /proc; other columns are asked of the host's `ps`.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

use crate::engine::TopTable;
use crate::error::{Context, Error, Result};

/// Clock ticks a second in /proc: fixed by the kernel's ABI (USER_HZ) on every architecture we run on.
const TICKS: u64 = 100;

const TITLES: [&str; 8] = ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"];

/// What the columns need to know of the host.
pub(crate) struct Host<'a> {
    pub(crate) proc: &'a Path,
    /// The text of the host's passwd: the first column shows its names, as `ps` does.
    pub(crate) passwd: &'a str,
    pub(crate) zone: TimeZone,
    pub(crate) now: Timestamp,
}

/// The processes `pids` in the columns that `arguments` of ps ask for; none of them means `-ef`.
pub(crate) fn table(pids: &[u32], arguments: &str, host: &Host<'_>) -> Result<TopTable> {
    if ["", "-ef", "ef"].contains(&arguments.trim()) {
        return own(pids, host);
    }
    let arguments: Vec<&str> = arguments.split_whitespace().collect();
    filter(&ps(&arguments)?, pids)
}

fn own(pids: &[u32], host: &Host<'_>) -> Result<TopTable> {
    let stat = fs::read_to_string(host.proc.join("stat")).context(|| "read /proc/stat".into())?;
    let boot = stat
        .lines()
        .find_map(|line| line.strip_prefix("btime ")?.trim().parse::<i64>().ok())
        .ok_or_else(|| Error::system("/proc/stat has no btime"))?;
    let row = |&pid: &u32| Some(Process::read(host.proc, pid)?.row(boot, host));
    Ok(TopTable {
        titles: TITLES.map(str::to_owned).to_vec(),
        // A process that ended since its pid was listed is not an error.
        processes: pids.iter().filter_map(row).collect(),
    })
}

#[derive(Debug, PartialEq, Eq)]
struct Process {
    pid: u32,
    uid: u32,
    parent: u32,
    terminal: u32,
    /// Ticks of processor time.
    used: u64,
    /// Ticks since boot.
    started: u64,
    command: String,
}

impl Process {
    fn read(proc: &Path, pid: u32) -> Option<Self> {
        let folder = proc.join(pid.to_string());
        let text = |name: &str| fs::read(folder.join(name)).ok();
        let lossy = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Self::parse(
            pid,
            &lossy(text("stat")?),
            &lossy(text("status")?),
            &lossy(text("cmdline")?),
        )
    }

    /// From the files of that name in proc(5).
    fn parse(pid: u32, stat: &str, status: &str, cmdline: &str) -> Option<Self> {
        // The name in parentheses may itself hold spaces and parentheses.
        let (head, tail) = stat.rsplit_once(')')?;
        let name = head.split_once('(')?.1;
        let fields: Vec<&str> = tail.split_whitespace().collect();
        let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
        let uid = status.lines().find_map(|line| {
            line.strip_prefix("Uid:")?
                .split_whitespace()
                .nth(1)?
                .parse()
                .ok()
        })?;
        let arguments = cmdline.trim_end_matches('\0').replace(['\0', '\n'], " ");
        Some(Self {
            pid,
            uid,
            parent: u32::try_from(number(1)?).ok()?,
            terminal: u32::try_from(number(4)?).unwrap_or(0),
            used: number(11)? + number(12)?,
            started: number(19)?,
            command: if arguments.is_empty() {
                format!("[{name}]")
            } else {
                arguments
            },
        })
    }

    fn row(&self, boot: i64, host: &Host<'_>) -> Vec<String> {
        let started = boot + i64::try_from(self.started / TICKS).unwrap_or(0);
        let age = u64::try_from(host.now.as_second() - started).unwrap_or(0);
        let seconds = self.used / TICKS;
        let busy = (seconds * 100).checked_div(age).unwrap_or(0).min(99);
        vec![
            user_name(self.uid, host.passwd),
            self.pid.to_string(),
            self.parent.to_string(),
            busy.to_string(),
            start_time(started, host),
            terminal_name(self.terminal),
            format!(
                "{:02}:{:02}:{:02}",
                seconds / 3600,
                seconds / 60 % 60,
                seconds % 60
            ),
            self.command.clone(),
        ]
    }
}

fn user_name(uid: u32, passwd: &str) -> String {
    let id = uid.to_string();
    let entry = passwd
        .lines()
        .find(|line| line.split(':').nth(2) == Some(&id));
    entry
        .and_then(|line| line.split(':').next())
        .unwrap_or(&id)
        .to_owned()
}

/// The time of day, or the day when it is not today's, or the year when it is not this one's.
fn start_time(started: i64, host: &Host<'_>) -> String {
    let Ok(started) = Timestamp::from_second(started) else {
        return "?".into();
    };
    let (started, now): (Zoned, Zoned) = (
        started.to_zoned(host.zone.clone()),
        host.now.to_zoned(host.zone.clone()),
    );
    let pattern = match (started.year() == now.year(), started.date() == now.date()) {
        (true, true) => "%H:%M",
        (true, false) => "%b%d",
        (false, _) => "%Y",
    };
    started.strftime(pattern).to_string()
}

/// The name of a device number as the kernel encodes tty_nr: proc(5), bits 31-20 and 7-0 the minor, 15-8 the major.
fn terminal_name(device: u32) -> String {
    let (major, minor) = (
        (device >> 8) & 0xfff,
        (device & 0xff) | ((device >> 12) & 0xfff00),
    );
    match major {
        136..=143 => format!("pts/{}", (major - 136) * 256 + minor),
        4 if minor < 64 => format!("tty{minor}"),
        4 => format!("ttyS{}", minor - 64),
        5 if minor == 1 => "console".into(),
        _ => "?".into(),
    }
}

fn ps(arguments: &[&str]) -> Result<String> {
    let output = Command::new("ps")
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .context(|| "`top` with arguments other than -ef needs the host's ps".into())?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        // What follows the first line is ps's own help.
        let reason = said.trim().lines().next().unwrap_or_default();
        return Err(Error::system(format!("ps: {reason}")));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Keeps the rows of `pids`; the last column is the rest of its line.
fn filter(output: &str, pids: &[u32]) -> Result<TopTable> {
    let mut lines = output.lines();
    let titles: Vec<String> = lines
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .map(str::to_owned)
        .collect();
    let pid_column = titles
        .iter()
        .position(|title| title == "PID")
        .ok_or_else(|| Error::system("Couldn't find PID field in ps output"))?;
    let ours = |row: &Vec<String>| {
        row.get(pid_column)
            .and_then(|p| p.parse().ok())
            .is_some_and(|pid: u32| pids.contains(&pid))
    };
    let processes = lines
        .map(|line| columns(line, titles.len()))
        .filter(ours)
        .collect();
    Ok(TopTable { titles, processes })
}

fn columns(line: &str, count: usize) -> Vec<String> {
    let mut fields: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    if fields.len() > count && count > 0 {
        let rest = fields.split_off(count - 1).join(" ");
        fields.push(rest);
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &str =
        "42 (a) (b c) S 7 42 42 34817 42 4194560 100 0 0 0 250 150 0 0 20 0 1 0 3000 1 1 1";
    const STATUS: &str = "Name:\tx\nUid:\t5\t1000\t1000\t1000\n";

    #[test]
    fn rows_look_as_ps_has_them() {
        let process = Process::parse(42, STAT, STATUS, "sleep\x00100\0").unwrap();
        let host = Host {
            proc: Path::new("/proc"),
            passwd: "root:x:0:0::/root:/bin/sh\nalice:x:1000:1000::/home/alice:/bin/sh\n",
            zone: TimeZone::UTC,
            now: "2026-11-22T10:00:00Z".parse().unwrap(),
        };
        let boot = "2026-11-22T09:58:00Z"
            .parse::<Timestamp>()
            .unwrap()
            .as_second();
        assert_eq!(
            process.row(boot, &host),
            [
                "alice",
                "42",
                "7",
                "4",
                "09:58",
                "pts/1",
                "00:00:04",
                "sleep 100"
            ]
        );
        assert_eq!(process.row(boot - 86_400, &host)[4], "Nov21");
        assert_eq!(process.row(boot - 86_400 * 400, &host)[4], "2025");
    }

    #[test]
    fn a_process_without_arguments_shows_its_name() {
        let process = Process::parse(42, STAT, STATUS, "").unwrap();
        assert_eq!(process.command, "[a) (b c]");
    }

    #[test]
    fn terminals_by_device_number() {
        let check = |device, expect: &str| assert_eq!(terminal_name(device), expect);
        check(0, "?");
        check(34816, "pts/0");
        check(0x0010_8800, "pts/256");
        check(0x401, "tty1");
        check(0x440, "ttyS0");
        check(0x501, "console");
    }

    #[test]
    fn asks_ps_for_other_columns() {
        let output =
            "  PID COMMAND         ARGS\n    1 init  /sbin/init splash\n    9 sh sh -c  x\n";
        let table = filter(output, &[9]).unwrap();
        assert_eq!(table.titles, ["PID", "COMMAND", "ARGS"]);
        assert_eq!(table.processes, [["9", "sh", "sh -c x"]]);
        let error = filter("USER\nroot\n", &[1]).unwrap_err();
        assert_eq!(error.to_string(), "Couldn't find PID field in ps output");
    }

    #[test]
    fn reads_itself() {
        let host = Host {
            proc: Path::new("/proc"),
            passwd: "",
            zone: TimeZone::UTC,
            now: Timestamp::now(),
        };
        let table = table(&[std::process::id()], "", &host).unwrap();
        assert_eq!(table.titles, TITLES);
        assert_eq!(table.processes[0][1], std::process::id().to_string());
    }
}
