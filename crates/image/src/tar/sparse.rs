use super::header::number;
use super::pax::decimal;
use super::{BLOCK, MAX_EXTENSION, TarError};

/// One run of real bytes in a sparse file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) offset: u64,
    pub(super) length: u64,
}

/// The most runs a map may have: what fits into the largest extension.
const MAX_RUNS: usize = MAX_EXTENSION as usize / 24;

/// Runs in order, none overlapping, none beyond the file's size, together as long as what the archive stores.
pub(super) fn check(runs: &[Run], size: u64, stored: u64) -> Result<(), TarError> {
    let (mut end, mut sum) = (0u64, 0u64);
    for run in runs {
        if run.offset < end {
            return Err(TarError::Sparse);
        }
        end = run
            .offset
            .checked_add(run.length)
            .filter(|e| *e <= size)
            .ok_or(TarError::Sparse)?;
        sum += run.length;
    }
    if sum == stored {
        Ok(())
    } else {
        Err(TarError::Sparse)
    }
}

pub(super) fn from_pairs(numbers: &[u64]) -> Result<Vec<Run>, TarError> {
    if !numbers.len().is_multiple_of(2) || numbers.len() / 2 > MAX_RUNS {
        return Err(TarError::Sparse);
    }
    Ok(numbers
        .chunks_exact(2)
        .map(|pair| Run {
            offset: pair[0],
            length: pair[1],
        })
        .collect())
}

/// Reads `count` old-GNU entries (offset and length, twelve bytes each) at `at`, ended by an empty one. Says whether the
/// byte after them announces another block of entries.
pub(super) fn old_gnu(
    block: &[u8; BLOCK],
    at: usize,
    count: usize,
    runs: &mut Vec<Run>,
) -> Result<bool, TarError> {
    for entry in block[at..at + count * 24].chunks_exact(24) {
        if entry[0] == 0 || entry[12] == 0 {
            break;
        }
        let part = |field| u64::try_from(number(field, "sparse")?).map_err(|_| TarError::Sparse);
        runs.push(Run {
            offset: part(&entry[..12])?,
            length: part(&entry[12..])?,
        });
        if runs.len() > MAX_RUNS {
            return Err(TarError::Sparse);
        }
    }
    Ok(block[at + count * 24] != 0)
}

/// The map at the start of a PAX 1.0 sparse file's data: lines of decimals, their number first, padded to whole blocks.
/// `next` gives the next block of the data.
pub(super) fn pax_1_0(
    mut next: impl FnMut() -> Result<[u8; BLOCK], TarError>,
) -> Result<Vec<Run>, TarError> {
    let mut numbers: Vec<u64> = Vec::new();
    let mut line: Vec<u8> = Vec::new();
    let mut wanted: Option<usize> = None;
    let mut bytes = 0u64;
    loop {
        bytes += BLOCK as u64;
        if bytes > MAX_EXTENSION {
            return Err(TarError::LongExtension(bytes));
        }
        for byte in next()? {
            if byte != b'\n' {
                line.push(byte);
                if line.len() > 20 {
                    return Err(TarError::Sparse);
                }
                continue;
            }
            let value = decimal(&line).map_err(|_| TarError::Sparse)?;
            line.clear();
            match wanted {
                None => {
                    let count = usize::try_from(value)
                        .ok()
                        .filter(|n| *n <= MAX_RUNS)
                        .ok_or(TarError::Sparse)?;
                    wanted = Some(count * 2);
                }
                Some(_) => numbers.push(value),
            }
            if wanted == Some(numbers.len()) {
                return from_pairs(&numbers);
            }
        }
    }
}
