//! The framing of a container's output when it has no terminal, without I/O.
//!
//! A frame is 8 bytes of header (which stream, three zeros, the payload's length in big endian) and the payload. The
//! decoder hands payloads on piece by piece as they come and keeps nothing but the header, so a stranger's length field
//! costs no memory.

/// Bytes of a frame's header.
pub const HEADER_LEN: usize = 8;

/// Which stream a payload belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamKind {
    /// Not sent by daemons today; Docker prints it to stdout.
    Stdin,
    /// The process's standard output.
    Stdout,
    /// The process's standard error.
    Stderr,
    /// A message from the daemon that the stream has failed.
    System,
}

/// Bytes that are no frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The first byte of a header names no stream: most often the peer sends raw output.
    #[error("unrecognized stream: {0}")]
    UnknownStream(u8),
    /// The input ended inside a frame.
    #[error("the multiplexed stream ends inside a frame")]
    Truncated,
}

/// A frame's header. Payloads of 4 GiB and more do not fit; split them.
pub fn header(kind: StreamKind, payload_len: u32) -> [u8; HEADER_LEN] {
    let [a, b, c, d] = payload_len.to_be_bytes();
    [kind as u8, 0, 0, 0, a, b, c, d]
}

/// Appends a payload in frames.
pub fn encode(kind: StreamKind, payload: &[u8], out: &mut Vec<u8>) {
    for chunk in payload.chunks(u32::MAX as usize) {
        out.extend_from_slice(&header(
            kind,
            u32::try_from(chunk.len()).unwrap_or(u32::MAX),
        ));
        out.extend_from_slice(chunk);
    }
}

/// Takes frames apart, whatever pieces the input comes in.
#[derive(Debug, Default)]
pub struct Decoder {
    header: [u8; HEADER_LEN],
    header_len: usize,
    remaining: u32,
}

impl Decoder {
    /// Takes the next piece of a payload off the front of `input`; `None` when all of it is used up.
    pub fn next<'a>(
        &mut self,
        input: &mut &'a [u8],
    ) -> Result<Option<(StreamKind, &'a [u8])>, Error> {
        loop {
            if input.is_empty() {
                return Ok(None);
            }
            if self.remaining > 0 {
                return Ok(Some((kind(self.header[0])?, self.take_payload(input))));
            }
            self.take_header(input)?;
        }
    }

    /// Says whether the input may end here.
    pub fn finish(&self) -> Result<(), Error> {
        if self.header_len == 0 && self.remaining == 0 {
            Ok(())
        } else {
            Err(Error::Truncated)
        }
    }

    fn take_payload<'a>(&mut self, input: &mut &'a [u8]) -> &'a [u8] {
        let len = input.len().min(self.remaining as usize);
        let (piece, rest) = input.split_at(len);
        *input = rest;
        self.remaining -= u32::try_from(len).unwrap_or(self.remaining);
        piece
    }

    fn take_header(&mut self, input: &mut &[u8]) -> Result<(), Error> {
        let len = input.len().min(HEADER_LEN - self.header_len);
        let (piece, rest) = input.split_at(len);
        self.header[self.header_len..self.header_len + len].copy_from_slice(piece);
        self.header_len += len;
        *input = rest;
        kind(self.header[0])?;
        if self.header_len == HEADER_LEN {
            let [.., a, b, c, d] = self.header;
            self.remaining = u32::from_be_bytes([a, b, c, d]);
            self.header_len = 0;
        }
        Ok(())
    }
}

fn kind(byte: u8) -> Result<StreamKind, Error> {
    match byte {
        0 => Ok(StreamKind::Stdin),
        1 => Ok(StreamKind::Stdout),
        2 => Ok(StreamKind::Stderr),
        3 => Ok(StreamKind::System),
        other => Err(Error::UnknownStream(other)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decode(pieces: &[&[u8]]) -> Result<(Vec<u8>, Vec<u8>), Error> {
        let (mut decoder, mut out, mut err) = (Decoder::default(), Vec::new(), Vec::new());
        for piece in pieces {
            let mut input = *piece;
            while let Some((kind, payload)) = decoder.next(&mut input)? {
                if kind == StreamKind::Stderr {
                    &mut err
                } else {
                    &mut out
                }
                .extend_from_slice(payload);
            }
        }
        decoder.finish()?;
        Ok((out, err))
    }

    #[test]
    fn raw_output_and_cut_frames_are_refused() {
        assert_eq!(decode(&[b"hello"]), Err(Error::UnknownStream(b'h')));
        assert_eq!(
            decode(&[&[1, 0, 0, 0, 0, 0, 0, 2, b'x']]),
            Err(Error::Truncated)
        );
        assert_eq!(decode(&[&[1, 0, 0]]), Err(Error::Truncated));
        assert_eq!(
            decode(&[&header(StreamKind::Stderr, 0)]),
            Ok((vec![], vec![]))
        );
    }

    proptest! {
        #[test]
        fn what_is_framed_comes_out_however_it_is_cut(
            frames in prop::collection::vec((any::<bool>(), prop::collection::vec(any::<u8>(), 0..40)), 0..8),
            cut in 1_usize..20,
        ) {
            let (mut wire, mut out, mut err) = (Vec::new(), Vec::new(), Vec::new());
            for (is_err, payload) in &frames {
                let kind = if *is_err { StreamKind::Stderr } else { StreamKind::Stdout };
                encode(kind, payload, &mut wire);
                if *is_err { &mut err } else { &mut out }.extend_from_slice(payload);
            }
            let pieces: Vec<&[u8]> = wire.chunks(cut).collect();
            prop_assert_eq!(decode(&pieces), Ok((out, err)));
        }

        #[test]
        fn strange_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&[&bytes]);
        }
    }
}
