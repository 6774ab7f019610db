use super::{BLOCK, TarError};

/// What an entry makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    Regular,
    HardLink,
    Symlink,
    CharDevice,
    BlockDevice,
    Directory,
    Fifo,
}

/// Seconds since the epoch (before it: negative) and nanoseconds after that second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time {
    pub seconds: i64,
    pub nanoseconds: u32,
}

/// One header block, by field offsets (POSIX.1-2017 pax, "ustar Header Block"; GNU tar's tar.h).
pub(super) struct Header<'a>(pub(super) &'a [u8; BLOCK]);

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    V7,
    Ustar,
    Star,
    Gnu,
}

impl Header<'_> {
    pub(super) fn is_zero(&self) -> bool {
        self.0.iter().all(|b| *b == 0)
    }

    /// Some old tars summed signed bytes; both sums are accepted, as everywhere.
    pub(super) fn check(&self) -> Result<(), TarError> {
        let want = number(&self.0[148..156], "checksum").map_err(|_| TarError::Checksum)?;
        let bytes = || {
            self.0
                .iter()
                .enumerate()
                .map(|(i, b)| if (148..156).contains(&i) { b' ' } else { *b })
        };
        let unsigned: i64 = bytes().map(i64::from).sum();
        let signed: i64 = bytes().map(|b| i64::from(b as i8)).sum();
        if want == unsigned || want == signed {
            Ok(())
        } else {
            Err(TarError::Checksum)
        }
    }

    pub(super) fn dialect(&self) -> Dialect {
        match &self.0[257..265] {
            b"ustar  \0" => Dialect::Gnu,
            _ if &self.0[257..263] != b"ustar\0" => Dialect::V7,
            _ if &self.0[508..512] == b"tar\0" => Dialect::Star,
            _ => Dialect::Ustar,
        }
    }

    pub(super) fn name(&self) -> Vec<u8> {
        let name = text(&self.0[0..100]);
        let prefix = match self.dialect() {
            Dialect::Ustar => text(&self.0[345..500]),
            Dialect::Star => text(&self.0[345..476]),
            Dialect::V7 | Dialect::Gnu => b"",
        };
        if prefix.is_empty() {
            name.to_vec()
        } else {
            [prefix, b"/", name].concat()
        }
    }

    pub(super) fn link(&self) -> &[u8] {
        text(&self.0[157..257])
    }

    pub(super) fn flag(&self) -> u8 {
        self.0[156]
    }

    pub(super) fn mode(&self) -> Result<u32, TarError> {
        Ok((number(&self.0[100..108], "mode")? & 0o7777) as u32)
    }

    pub(super) fn uid(&self) -> Result<u32, TarError> {
        id(number(&self.0[108..116], "uid")?, "uid")
    }

    pub(super) fn gid(&self) -> Result<u32, TarError> {
        id(number(&self.0[116..124], "gid")?, "gid")
    }

    pub(super) fn size(&self) -> Result<u64, TarError> {
        u64::try_from(number(&self.0[124..136], "size")?).map_err(|_| TarError::Number("size"))
    }

    pub(super) fn mtime(&self) -> Result<Time, TarError> {
        Ok(Time {
            seconds: number(&self.0[136..148], "mtime")?,
            nanoseconds: 0,
        })
    }

    pub(super) fn device(&self) -> Result<(u32, u32), TarError> {
        if self.dialect() == Dialect::V7 {
            return Ok((0, 0));
        }
        let part = |range: std::ops::Range<usize>, what| {
            u32::try_from(number(&self.0[range], what)?).map_err(|_| TarError::Number(what))
        };
        Ok((part(329..337, "devmajor")?, part(337..345, "devminor")?))
    }
}

pub(super) fn id(value: i64, what: &'static str) -> Result<u32, TarError> {
    // (uid_t)-1 means "leave as it is" to chown(2), so it is no id either.
    u32::try_from(value)
        .ok()
        .filter(|id| *id != u32::MAX)
        .ok_or(TarError::Number(what))
}

/// Up to the first NUL.
fn text(field: &[u8]) -> &[u8] {
    field.split(|b| *b == 0).next().unwrap_or_default()
}

/// Octal with blanks or NULs around it, or GNU's base-256 (first bit set, two's complement).
pub(super) fn number(field: &[u8], what: &'static str) -> Result<i64, TarError> {
    let bad = TarError::Number(what);
    if field[0] & 0x80 != 0 {
        return base256(field).ok_or(bad);
    }
    let start = field
        .iter()
        .position(|b| !matches!(b, b' ' | 0))
        .unwrap_or(field.len());
    let digits = text(&field[start..]).trim_ascii_end();
    let mut value: i64 = 0;
    for digit in digits {
        if !(b'0'..=b'7').contains(digit) {
            return Err(bad);
        }
        value = value
            .checked_mul(8)
            .and_then(|v| v.checked_add(i64::from(digit - b'0')))
            .ok_or(TarError::Number(what))?;
    }
    Ok(value)
}

fn base256(field: &[u8]) -> Option<i64> {
    let negative = field[0] & 0x40 != 0;
    let first = if negative { field[0] } else { field[0] & 0x7f };
    let mut value: i128 = if negative {
        i128::from(first as i8)
    } else {
        i128::from(first)
    };
    for byte in &field[1..] {
        value = (value << 8) | i128::from(*byte);
        if value > i128::from(i64::MAX) || value < i128::from(i64::MIN) {
            return None;
        }
    }
    i64::try_from(value).ok()
}
