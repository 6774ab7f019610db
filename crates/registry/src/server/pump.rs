//! Takes bytes as they arrive to a thread that hashes and writes them, one lot at a time: while one lot is written,
//! the next one comes in, and there are never more than the two.

use bytes::Bytes;
use tokio::task::JoinHandle;

use super::failure::Failure;
use super::store::Error;
use super::store::uploads::Writer;

/// Bytes that are gathered before they are written.
const LOT: usize = 256 << 10;

pub(crate) struct Pump {
    writer: Option<Writer>,
    running: Option<JoinHandle<(Writer, Result<(), Error>)>>,
    lot: Vec<Bytes>,
    held: usize,
    written: u64,
}

impl Pump {
    pub(crate) fn new(writer: Writer) -> Pump {
        Pump {
            writer: Some(writer),
            running: None,
            lot: Vec::new(),
            held: 0,
            written: 0,
        }
    }

    /// How long what is being written to is, as far as is known here.
    pub(crate) fn written(&self) -> u64 {
        self.written
    }

    pub(crate) async fn push(&mut self, bytes: Bytes) -> Result<(), Failure> {
        self.held += bytes.len();
        self.lot.push(bytes);
        if self.held >= LOT {
            self.flush().await?;
        }
        Ok(())
    }

    /// All that was pushed is written; gives the writer back.
    pub(crate) async fn end(mut self) -> Result<Writer, Failure> {
        if !self.lot.is_empty() {
            self.flush().await?;
        }
        self.settle().await?;
        self.writer.ok_or_else(Failure::internal)
    }

    async fn flush(&mut self) -> Result<(), Failure> {
        self.settle().await?;
        let mut writer = self.writer.take().ok_or_else(Failure::internal)?;
        let lot = std::mem::take(&mut self.lot);
        self.held = 0;
        self.running = Some(tokio::task::spawn_blocking(move || {
            let result = writer.append(&lot);
            (writer, result)
        }));
        Ok(())
    }

    /// Waits for the lot that is being written.
    async fn settle(&mut self) -> Result<(), Failure> {
        let Some(running) = self.running.take() else {
            return Ok(());
        };
        let (writer, result) = running.await.map_err(|_| Failure::internal())?;
        self.written = writer.size();
        self.writer = Some(writer);
        Ok(result?)
    }
}
