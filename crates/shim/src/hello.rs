//! The first container of a fresh machine: greets, and shows what a container sees.

use std::fs;
use std::process::ExitCode;

/// Prints the greeting.
pub(crate) fn main() -> ExitCode {
    let facts = [
        ("started", started()),
        (
            "process",
            format!(
                "{} of {}",
                std::process::id(),
                plural(processes(), "process", "processes")
            ),
        ),
        ("hostname", line("/proc/sys/kernel/hostname")),
        ("user", user()),
        ("memory", memory()),
        ("mounts", mounts()),
        ("kernel", line("/proc/sys/kernel/osrelease")),
    ];
    println!("Hello from Tare: this text was printed inside a container.\n");
    for (name, value) in facts {
        println!("  {name:<10}{value}");
    }
    println!(
        "\nThe file that printed it is tare-shim itself, alone in an image. Try next:\n\n  \
         tare run --rm -m 64m --hostname box hello      a limit and a name of its own\n  \
         tare import rootfs.tar mine && tare run -it mine sh\n  \
         tare load -i image.tar                         what `docker save` wrote\n  \
         tare ps -a; tare logs NAME; tare --help"
    );
    ExitCode::SUCCESS
}

/// How long ago the kernel made this process. Both clocks count from the boot; the start is known to a clock tick, so
/// nothing finer is claimed.
fn started() -> String {
    let uptime = line("/proc/uptime")
        .split(' ')
        .next()
        .and_then(seconds_to_ticks);
    let stat = line("/proc/self/stat");
    // The name in brackets may hold spaces; `starttime` is the 20th field after it (proc_pid_stat(5)).
    let start = stat
        .rsplit(')')
        .next()
        .and_then(|rest| rest.split_whitespace().nth(19)?.parse::<u64>().ok());
    match (uptime, start) {
        (Some(now), Some(start)) if now <= start + 1 => {
            "less than 20 ms after its process was made".to_owned()
        }
        (Some(now), Some(start)) => {
            format!("about {} ms after its process was made", (now - start) * 10)
        }
        _ => "unknown".to_owned(),
    }
}

/// `12.34` as 1234: the kernel's clock tick in /proc is a hundredth of a second.
fn seconds_to_ticks(text: &str) -> Option<u64> {
    let (whole, hundredths) = text.split_once('.')?;
    Some(whole.parse::<u64>().ok()? * 100 + hundredths.parse::<u64>().ok()?)
}

fn processes() -> usize {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter(|entry| {
            entry
                .file_name()
                .to_string_lossy()
                .bytes()
                .all(|byte| byte.is_ascii_digit())
        })
        .count()
}

fn user() -> String {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let id = |key: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(key));
        line.and_then(|ids| ids.split_whitespace().next())
            .unwrap_or("?")
            .to_owned()
    };
    format!(
        "uid {}, gid {}, {} capabilities",
        id("Uid:"),
        id("Gid:"),
        capabilities(&id("CapEff:"))
    )
}

fn capabilities(mask: &str) -> u32 {
    u64::from_str_radix(mask, 16).map_or(0, u64::count_ones)
}

/// The limit of this container's cgroup: version 2 has it at the root of its own namespace, version 1 in the
/// controller's folder.
fn memory() -> String {
    let limit = [
        "/sys/fs/cgroup/memory.max",
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
    ]
    .iter()
    .find_map(|path| fs::read_to_string(path).ok()?.trim().parse::<u64>().ok());
    // Version 1 writes "no limit" as the greatest multiple of a page.
    match limit.filter(|limit| *limit < 1 << 60) {
        Some(limit) => format!("limited to {} MiB", limit >> 20),
        None => "no limit".to_owned(),
    }
}

fn mounts() -> String {
    let table = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let points: Vec<_> = table
        .lines()
        .filter_map(|line| line.split(' ').nth(1))
        .collect();
    let shown: Vec<_> = points
        .iter()
        .filter(|point| point.matches('/').count() == 1)
        .copied()
        .collect();
    format!("{} in all: {} ...", points.len(), shown.join(" "))
}

fn line(path: &str) -> String {
    fs::read_to_string(path)
        .unwrap_or_default()
        .trim_end()
        .to_owned()
}

fn plural(count: usize, one: &str, many: &str) -> String {
    if count == 1 {
        format!("{count} {one}")
    } else {
        format!("{count} {many}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_are_read_in_hundredths() {
        assert_eq!(seconds_to_ticks("12.34"), Some(1234));
        assert_eq!(seconds_to_ticks("12"), None);
    }

    #[test]
    fn facts_are_found_on_any_machine() {
        assert!(started().contains("ms after"));
        assert!(processes() > 0);
        assert_eq!(capabilities("00000000a80425fb"), 14);
    }
}
