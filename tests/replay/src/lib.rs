//! The fuzz targets as ordinary tests: each on its seeds and on what comes of them by small damage.
//!
//! cargo-fuzz finds what is new, when somebody runs it; this keeps the targets building and what they promise kept, on every run of the
//! tests, with the stable compiler.
#![forbid(unsafe_code)]

// To the targets this is the library that cargo-fuzz brings along.
extern crate self as libfuzzer_sys;

pub mod targets;

use std::path::Path;

/// Makes the target a function, `target`, in the module that its file is here.
#[macro_export]
macro_rules! fuzz_target {
    (|$data:ident: &[u8]| $body:block) => {
        pub fn target($data: &[u8]) {
            $body
        }
    };
    (|$text:ident: &str| $body:block) => {
        pub fn target(data: &[u8]) {
            if let Ok($text) = std::str::from_utf8(data) {
                $body
            }
        }
    };
}

/// Runs a target on each seed, and `rounds` times on damaged ones. The damage is the same each time, so what fails fails again.
///
/// # Panics
///
/// As the target does; the input is printed before.
pub fn replay(name: &str, rounds: usize, target: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds");
    let mut seeds = vec![Vec::new()];
    let files = std::fs::read_dir(folder.join(name)).expect("the target has seeds");
    let mut files: Vec<_> = files.map(|file| file.expect("a seed").path()).collect();
    files.sort();
    seeds.extend(
        files
            .iter()
            .map(|file| std::fs::read(file).expect("a seed")),
    );
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let try_it = |input: &[u8]| {
        let reported = Reported(input);
        target(input);
        std::mem::forget(reported);
    };
    for seed in &seeds {
        try_it(seed);
    }
    for _ in 0..rounds {
        let seed = &seeds[random.below(seeds.len())];
        let other = &seeds[random.below(seeds.len())];
        try_it(&damaged(seed, other, &mut random));
    }
}

/// Prints its input when the target panics over it.
struct Reported<'a>(&'a [u8]);

impl Drop for Reported<'_> {
    fn drop(&mut self) {
        eprintln!("the input was {:?}", self.0.escape_ascii().to_string());
    }
}

/// One to four small changes.
fn damaged(seed: &[u8], other: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len() + 1);
        let end = bytes.len().min(at + random.below(16));
        match random.below(6) {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, random.byte()),
            2 => drop(bytes.drain(at..end)),
            3 => {
                let again = bytes[at..end].to_vec();
                bytes.splice(at..at, again);
            }
            4 => {
                let from = random.below(other.len() + 1);
                bytes.truncate(at);
                bytes.extend_from_slice(&other[from..]);
            }
            _ => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = random.byte();
                }
            }
        }
    }
    bytes
}

/// xorshift64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end.max(1)).unwrap_or(u64::MAX);
        usize::try_from(self.next() % end).unwrap_or_default()
    }

    /// Often one that grammars know.
    fn byte(&mut self) -> u8 {
        const KNOWN: &[u8] = b"\0\xff\x80\n\"'\\/:@.,;=<>{}[]%# 09azAZ";
        match self.below(2) {
            0 => KNOWN[self.below(KNOWN.len())],
            _ => self.next().to_le_bytes()[0],
        }
    }
}
