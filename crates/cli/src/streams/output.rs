//! The client's stdout and stderr, written as the container writes: no buffer, no line discipline.

use std::os::fd::BorrowedFd;

use api::stdcopy::{Decoder, StreamKind};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::stdio::{stderr, stdout};

use crate::failure::Failure;

/// How the daemon sends output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    /// A terminal's bytes, as they are.
    Raw,
    /// Stdout and stderr in frames.
    Frames,
}

/// Writes a container's output to where it belongs.
#[derive(Debug)]
pub(crate) struct Output {
    decoder: Option<Decoder>,
    /// Small frames that follow each other on one stream are written in one call.
    gathered: Vec<u8>,
}

impl Output {
    pub(crate) fn new(framing: Framing) -> Output {
        Output {
            decoder: (framing == Framing::Frames).then(Decoder::default),
            gathered: Vec::new(),
        }
    }

    /// Writes the next bytes of the stream.
    pub(crate) fn write(&mut self, mut bytes: &[u8]) -> Result<(), Failure> {
        let Some(decoder) = &mut self.decoder else {
            return write_all(stdout(), bytes);
        };
        let mut stream = StreamKind::Stdout;
        while let Some((next, piece)) = decoder
            .next(&mut bytes)
            .map_err(|error| Failure::new(error.to_string()))?
        {
            if next == StreamKind::System {
                let text = String::from_utf8_lossy(piece);
                return Err(Failure::new(format!("error from daemon in stream: {text}")));
            }
            if next != stream {
                flush(stream, &mut self.gathered)?;
                stream = next;
            }
            self.gathered.extend_from_slice(piece);
        }
        flush(stream, &mut self.gathered)
    }
}

fn flush(stream: StreamKind, gathered: &mut Vec<u8>) -> Result<(), Failure> {
    match stream {
        StreamKind::Stderr => write_all(stderr(), gathered)?,
        _ => write_all(stdout(), gathered)?,
    }
    gathered.clear();
    Ok(())
}

/// Writes everything, also where others made the descriptor non-blocking.
pub(crate) fn write_all(fd: BorrowedFd<'_>, mut bytes: &[u8]) -> Result<(), Failure> {
    while !bytes.is_empty() {
        match rustix::io::write(fd, bytes) {
            Ok(count) => bytes = &bytes[count..],
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => {
                poll(&mut [PollFd::new(&fd, PollFlags::OUT)], None)
                    .map_err(std::io::Error::from)?;
            }
            Err(error) => return Err(Failure::of_output(error.into())),
        }
    }
    Ok(())
}
