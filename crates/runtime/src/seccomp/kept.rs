//! Compiled filters on disk, each with the profile it came from: a file is believed only if that is, byte for byte, the
//! profile asked for. Numbers are in the machine's own order; the folder does not travel.
//!
//! ```text
//! length of the profile: u32   profile   flags: u32   instructions: code u16, jt u8, jf u8, k u32 each
//! ```

use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io;
use std::path::{Path, PathBuf};

use linux::seccomp::Instruction;

use super::Filter;

const INSTRUCTION: usize = 8;

pub(super) fn find(folder: &Path, profile: &str) -> Option<Filter> {
    let bytes = fs::read(place(folder, profile)).ok()?;
    let (length, rest) = bytes.split_first_chunk()?;
    let (known, rest) = rest.split_at_checked(u32::from_ne_bytes(*length) as usize)?;
    let (flags, program) = rest.split_first_chunk()?;
    if known != profile.as_bytes() || program.is_empty() || program.len() % INSTRUCTION != 0 {
        return None;
    }
    let instruction = |bytes: &[u8]| Instruction {
        code: u16::from_ne_bytes([bytes[0], bytes[1]]),
        jt: bytes[2],
        jf: bytes[3],
        k: u32::from_ne_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]),
    };
    Some(Filter {
        program: program.chunks_exact(INSTRUCTION).map(instruction).collect(),
        flags: u32::from_ne_bytes(*flags),
    })
}

/// Whole or not at all, whoever else does the same at the same time.
pub(super) fn keep(folder: &Path, profile: &str, filter: &Filter) -> io::Result<()> {
    let length = u32::try_from(profile.len()).map_err(io::Error::other)?;
    let mut bytes = length.to_ne_bytes().to_vec();
    bytes.extend(profile.as_bytes());
    bytes.extend(filter.flags.to_ne_bytes());
    for Instruction { code, jt, jf, k } in &filter.program {
        bytes.extend(code.to_ne_bytes());
        bytes.extend([*jt, *jf]);
        bytes.extend(k.to_ne_bytes());
    }
    let path = place(folder, profile);
    let draft = path.with_extension(std::process::id().to_string());
    fs::write(&draft, bytes)?;
    fs::rename(&draft, &path)
}

/// The name only has to tell profiles apart mostly.
fn place(folder: &Path, profile: &str) -> PathBuf {
    let mut hasher = DefaultHasher::new();
    profile.hash(&mut hasher);
    folder.join(format!("{:016x}", hasher.finish()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter() -> Filter {
        let instruction = |k| Instruction {
            code: 0x15,
            jt: 1,
            jf: 255,
            k,
        };
        Filter {
            program: vec![instruction(7), instruction(u32::MAX)],
            flags: 4,
        }
    }

    #[test]
    fn what_is_kept_is_found_for_that_profile_alone() {
        let dir = tempfile::tempdir().unwrap();
        keep(dir.path(), "{}", &filter()).unwrap();
        assert_eq!(find(dir.path(), "{}"), Some(filter()));
        assert_eq!(find(dir.path(), "{ }"), None);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        // Another profile of the same name, as far as the hash goes.
        fs::rename(place(dir.path(), "{}"), place(dir.path(), "[]")).unwrap();
        assert_eq!(find(dir.path(), "[]"), None);
    }

    #[test]
    fn half_a_file_is_none() {
        let dir = tempfile::tempdir().unwrap();
        keep(dir.path(), "{}", &filter()).unwrap();
        let path = place(dir.path(), "{}");
        let whole = fs::read(&path).unwrap();
        for length in 0..whole.len() - INSTRUCTION {
            fs::write(&path, &whole[..length]).unwrap();
            assert_eq!(find(dir.path(), "{}"), None, "{length} bytes");
        }
    }
}
