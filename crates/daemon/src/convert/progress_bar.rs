//! Docker's progress bar as text: `[=====>        ]  33.79kB/1.984MB`.

const WIDTH: u64 = 50;

/// How far something is, as old clients print it. The remaining time, which Docker appends in terminals, is left out.
pub(crate) fn bar(done: u64, total: u64) -> String {
    if total == 0 {
        return format!("{:>8}", size(done));
    }
    let halves = (done.saturating_mul(100) / total).min(100) / 2;
    let filled = usize::try_from(halves.min(WIDTH)).unwrap_or_default();
    let rest = usize::try_from(WIDTH - halves.min(WIDTH)).unwrap_or_default();
    let bar = format!("[{}>{}]", "=".repeat(filled), " ".repeat(rest));
    if done > total {
        return format!("{bar} {:>8}", size(done));
    }
    format!("{bar} {:>8}/{}", size(done), size(total))
}

/// Four digits and a unit, as go-units has it.
fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["B", "kB", "MB", "GB", "TB", "PB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1000.0 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    let digits = match value {
        v if v >= 1000.0 => 0,
        v if v >= 100.0 => 1,
        v if v >= 10.0 => 2,
        _ => 3,
    };
    let text = format!("{value:.digits$}");
    let text = match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.'),
        false => &text,
    };
    format!("{text}{}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_docker_writes_it() {
        assert_eq!(
            bar(33792, 1_984_288),
            "[>                                                  ]  33.79kB/1.984MB"
        );
        assert_eq!(
            bar(2_128_896, 1_984_288),
            "[==================================================>]  2.129MB"
        );
        assert_eq!(size(0), "0B");
        assert_eq!(size(1_000), "1kB");
    }
}
