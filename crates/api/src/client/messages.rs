//! JSON documents one after the other in one body: events, progress.

use std::marker::PhantomData;

use bytes::{Buf, BytesMut};
use serde::de::DeserializeOwned;

use super::body::ResponseBody;
use super::error::{Error, Result};

/// No real message is longer.
const MESSAGE_LIMIT: usize = 16 * 1024 * 1024;

/// The documents of a body, as they come.
#[derive(Debug)]
pub struct Messages<T> {
    body: ResponseBody,
    splitter: Splitter,
    document: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> Messages<T> {
    pub(super) fn new(body: ResponseBody) -> Self {
        Self {
            body,
            splitter: Splitter::default(),
            document: PhantomData,
        }
    }

    /// The next document; `None` at the end.
    pub async fn next(&mut self) -> Result<Option<T>> {
        loop {
            if let Some(document) = self.splitter.next()? {
                return Ok(Some(document));
            }
            match self.body.next().await? {
                Some(piece) => self.splitter.push(&piece),
                None if self.splitter.ended => return Ok(None),
                None => self.splitter.ended = true,
            }
        }
    }
}

/// Finds documents in bytes, without I/O. A document is tried once its line has ended, or the input has.
#[derive(Debug, Default)]
struct Splitter {
    buffer: BytesMut,
    searched: usize,
    ended: bool,
}

impl Splitter {
    fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    fn next<T: DeserializeOwned>(&mut self) -> Result<Option<T>> {
        let line_ends = self.buffer[self.searched..].contains(&b'\n');
        if !line_ends && !self.ended {
            self.searched = self.buffer.len();
            return if self.searched > MESSAGE_LIMIT {
                Err(Error::MessageTooLong(MESSAGE_LIMIT))
            } else {
                Ok(None)
            };
        }
        let mut documents = serde_json::Deserializer::from_slice(&self.buffer).into_iter::<T>();
        let outcome = documents.next();
        let used = documents.byte_offset();
        match outcome {
            Some(Ok(document)) => {
                self.buffer.advance(used);
                self.searched = 0;
                Ok(Some(document))
            }
            // A document of several lines that is not all there yet.
            Some(Err(error)) if error.is_eof() && !self.ended => {
                self.searched = self.buffer.len();
                Ok(None)
            }
            Some(Err(source)) => Err(Error::Document {
                path: "a stream".to_owned(),
                source,
            }),
            None => {
                self.buffer.clear();
                self.searched = 0;
                Ok(None)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_found_however_the_bytes_are_cut() {
        let wire = b"{\"a\":1}\r\n{\"a\":\n2}{\"a\":3}\n\n{\"a\":4}";
        for cut in 1..wire.len() {
            let mut splitter = Splitter::default();
            let mut found = Vec::new();
            for piece in wire.chunks(cut) {
                splitter.push(piece);
                while let Some(value) = splitter.next::<serde_json::Value>().expect("JSON") {
                    found.push(value["a"].as_i64());
                }
            }
            splitter.ended = true;
            while let Some(value) = splitter.next::<serde_json::Value>().expect("JSON") {
                found.push(value["a"].as_i64());
            }
            assert_eq!(found, [Some(1), Some(2), Some(3), Some(4)], "cut at {cut}");
        }
    }

    #[test]
    fn garbage_and_endless_lines_are_errors() {
        let mut splitter = Splitter::default();
        splitter.push(b"<html>\n");
        assert!(splitter.next::<serde_json::Value>().is_err());
        let mut splitter = Splitter::default();
        splitter.push(&vec![b' '; MESSAGE_LIMIT + 1]);
        assert!(matches!(
            splitter.next::<serde_json::Value>(),
            Err(Error::MessageTooLong(_))
        ));
    }
}
