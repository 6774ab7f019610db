use super::TarError;
use super::header::{Time, id};

/// The records of a PAX extended header that matter here; all others stay in the raw bytes only.
#[derive(Default, Debug)]
pub(super) struct Records {
    pub(super) path: Option<Vec<u8>>,
    pub(super) link: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
    pub(super) uid: Option<u32>,
    pub(super) gid: Option<u32>,
    pub(super) mtime: Option<Time>,
    pub(super) atime: Option<Time>,
    pub(super) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    pub(super) sparse: SparseRecords,
}

/// `GNU.sparse.*`: GNU tar manual, "PAX formats, versions 0.0, 0.1 and 1.0".
#[derive(Default, Debug)]
pub(super) struct SparseRecords {
    pub(super) major: Option<u64>,
    pub(super) minor: Option<u64>,
    pub(super) name: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
    /// Offsets and lengths in turn, from `GNU.sparse.map` or from repeated `offset` and `numbytes`.
    pub(super) map: Option<Vec<u64>>,
}

impl Records {
    pub(super) fn parse(mut bytes: &[u8]) -> Result<Records, TarError> {
        let mut records = Records::default();
        while !bytes.is_empty() {
            let (key, value, rest) = record(bytes)?;
            records.take(key, value)?;
            bytes = rest;
        }
        Ok(records)
    }

    /// An empty value takes back what the header said, as in Go: the field stays the header's.
    fn take(&mut self, key: &[u8], value: &[u8]) -> Result<(), TarError> {
        if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
            self.xattrs.push((name.to_vec(), value.to_vec()));
            return Ok(());
        }
        if value.is_empty() {
            return Ok(());
        }
        match key {
            b"path" => self.path = Some(value.to_vec()),
            b"linkpath" => self.link = Some(value.to_vec()),
            b"size" => self.size = Some(decimal(value)?),
            b"uid" => self.uid = Some(owner(value, "uid")?),
            b"gid" => self.gid = Some(owner(value, "gid")?),
            b"mtime" => self.mtime = Some(time(value)?),
            b"atime" => self.atime = Some(time(value)?),
            _ => return self.sparse.take(key, value),
        }
        Ok(())
    }
}

impl SparseRecords {
    fn take(&mut self, key: &[u8], value: &[u8]) -> Result<(), TarError> {
        match key {
            b"GNU.sparse.major" => self.major = Some(decimal(value)?),
            b"GNU.sparse.minor" => self.minor = Some(decimal(value)?),
            b"GNU.sparse.name" => self.name = Some(value.to_vec()),
            b"GNU.sparse.size" | b"GNU.sparse.realsize" => self.size = Some(decimal(value)?),
            b"GNU.sparse.map" => {
                self.map = Some(
                    value
                        .split(|b| *b == b',')
                        .map(decimal)
                        .collect::<Result<_, _>>()?,
                );
            }
            b"GNU.sparse.offset" | b"GNU.sparse.numbytes" => {
                let map = self.map.get_or_insert_default();
                // Offsets come at even places; a record out of turn would shift all that follow.
                if map.len().is_multiple_of(2) != (key == b"GNU.sparse.offset") {
                    return Err(TarError::Sparse);
                }
                map.push(decimal(value)?);
            }
            _ => {}
        }
        Ok(())
    }
}

/// Key, value, and what comes after the record.
type Record<'a> = (&'a [u8], &'a [u8], &'a [u8]);

/// `length key=value\n`, where the length counts itself.
fn record(bytes: &[u8]) -> Result<Record<'_>, TarError> {
    let space = bytes
        .iter()
        .take(20)
        .position(|b| *b == b' ')
        .ok_or(TarError::Pax)?;
    let length = usize::try_from(decimal(&bytes[..space])?).map_err(|_| TarError::Pax)?;
    if length <= space + 1 || length > bytes.len() {
        return Err(TarError::Pax);
    }
    let (record, rest) = bytes.split_at(length);
    let record = record[space + 1..]
        .strip_suffix(b"\n")
        .ok_or(TarError::Pax)?;
    let equals = record
        .iter()
        .position(|b| *b == b'=')
        .filter(|at| *at > 0)
        .ok_or(TarError::Pax)?;
    let (key, value) = (&record[..equals], &record[equals + 1..]);
    if matches!(key, b"path" | b"linkpath" | b"GNU.sparse.name") && value.contains(&0) {
        return Err(TarError::Nul);
    }
    Ok((key, value, rest))
}

pub(super) fn decimal(text: &[u8]) -> Result<u64, TarError> {
    if text.is_empty() || text.len() > 20 || !text.iter().all(u8::is_ascii_digit) {
        return Err(TarError::Pax);
    }
    std::str::from_utf8(text)
        .ok()
        .and_then(|t| t.parse().ok())
        .ok_or(TarError::Pax)
}

fn owner(text: &[u8], what: &'static str) -> Result<u32, TarError> {
    id(
        i64::try_from(decimal(text)?).map_err(|_| TarError::Pax)?,
        what,
    )
}

/// Seconds with any number of decimal places; what is finer than a nanosecond is cut off.
fn time(text: &[u8]) -> Result<Time, TarError> {
    let (negative, digits) = match text.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let mut parts = digits.splitn(2, |b| *b == b'.');
    let whole =
        i64::try_from(decimal(parts.next().unwrap_or_default())?).map_err(|_| TarError::Pax)?;
    let mut nanoseconds = 0u32;
    let places = parts.next().unwrap_or_default();
    if !places.iter().all(u8::is_ascii_digit) {
        return Err(TarError::Pax);
    }
    for place in 0..9 {
        nanoseconds = nanoseconds * 10 + u32::from(places.get(place).map_or(0, |d| d - b'0'));
    }
    Ok(match (negative, nanoseconds) {
        (false, _) => Time {
            seconds: whole,
            nanoseconds,
        },
        (true, 0) => Time {
            seconds: -whole,
            nanoseconds,
        },
        (true, _) => Time {
            seconds: -whole - 1,
            nanoseconds: 1_000_000_000 - nanoseconds,
        },
    })
}
