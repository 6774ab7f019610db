//! Tar as strangers write it: ustar, PAX, GNU long names, all four kinds of sparse files.
//!
//! [`Walker`] hands out entries whose extension headers are already merged in, with every length bounded, and passes
//! on the raw bytes of everything that is not file content, so that an archive can be rebuilt to the byte.
//! [`Writer`] makes entries the way Go's archive/tar does (PAX only where ustar cannot say it).

mod header;
mod pax;
mod sparse;
mod walk;
mod write;

pub use header::{EntryKind, Time};
pub use walk::{Entry, Walker};
pub use write::Writer;

/// Tar's unit: headers are one block, contents are padded to whole ones.
pub const BLOCK: usize = 512;

/// The most bytes of one extension header (PAX records, a long name, a sparse map), as Go's archive/tar has it.
pub const MAX_EXTENSION: u64 = 1 << 20;

/// The most extension headers before one entry. Real archives have at most three (x, L, K).
const MAX_CHAIN: usize = 16;

/// The most bytes besides zeros after the end of an archive.
const MAX_JUNK: u64 = 1 << 20;

/// Why a stream is not a tar this engine takes.
#[derive(Debug, thiserror::Error)]
pub enum TarError {
    #[error("tar: read")]
    Read(#[source] std::io::Error),
    #[error("tar: write")]
    Write(#[source] std::io::Error),
    #[error("tar: the archive ends in the middle of an entry (unexpected EOF)")]
    Truncated,
    #[error("tar: invalid tar header (checksum)")]
    Checksum,
    #[error("tar: invalid number in field {0}")]
    Number(&'static str),
    #[error("tar: malformed PAX record")]
    Pax,
    #[error("tar: malformed sparse map")]
    Sparse,
    #[error("tar: an extension header of {0} bytes; {MAX_EXTENSION} are the most")]
    LongExtension(u64),
    #[error("tar: more than {MAX_CHAIN} extension headers before one entry")]
    LongChain,
    #[error("tar: unhandled tar header type {0}")]
    Kind(u8),
    #[error("tar: a name holds a NUL byte")]
    Nul,
    #[error("tar: more than {MAX_JUNK} bytes of something else follow the end of the archive")]
    Junk,
}

/// Whether a block can begin a tar: a header whose checksum holds, or the empty block of an empty archive.
pub(crate) fn is_header_or_end(block: &[u8; BLOCK]) -> bool {
    let header = header::Header(block);
    header.is_zero() || header.check().is_ok()
}

#[cfg(test)]
mod tests;
