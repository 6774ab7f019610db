//! Carries a container's stdin, stdout and stderr over a connection that was taken over.

mod input;
mod output;

use std::io::ErrorKind;

use api::client::{HijackWriter, Hijacked};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

pub(crate) use output::{Framing, Output, write_all};

use crate::failure::Failure;
use crate::terminal::keys::{Watched, Watcher};
use input::Stdin;

/// How much is read at a time.
const PIECE: usize = 64 * 1024;

/// Which way a relay ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The container's output ended.
    Output,
    /// The user typed the keys that leave.
    Left,
    /// The client was sent this signal, which nobody passes on.
    Interrupted(u8),
}

/// What the user's input is.
#[derive(Debug)]
pub(crate) enum Input {
    /// The container gets none.
    None,
    /// Bytes, as they are.
    Plain,
    /// A terminal's keys, some of which leave the container.
    Keys(Watcher),
}

/// Carries bytes both ways until the output ends or the user leaves.
pub(crate) async fn relay(
    connection: Hijacked,
    input: Input,
    framing: Framing,
) -> Result<End, Failure> {
    let Hijacked {
        mut reader, writer, ..
    } = connection;
    let output = async {
        let mut output = Output::new(framing);
        // Not zeroed, since most of it is never touched.
        let mut buffer = Vec::with_capacity(PIECE);
        loop {
            buffer.clear();
            match reader.read_buf(&mut buffer).await {
                // A frame that a dying daemon cut short is an end like any other.
                Ok(0) => return Ok(End::Output),
                Ok(_) => output.write(&buffer)?,
                // A daemon that dies takes the stream with it; what is left to know comes from waiting.
                Err(error)
                    if matches!(
                        error.kind(),
                        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe
                    ) =>
                {
                    return Ok(End::Output);
                }
                Err(error) => return Err(error.into()),
            }
        }
    };
    let input = send_input(writer, input);
    tokio::pin!(output);
    tokio::select! {
        biased;
        end = &mut output => return end,
        left = input => if left? == End::Left {
            return Ok(End::Left);
        },
    }
    // The input has ended; the output goes on.
    output.await
}

/// Sends the user's input. Ends with [`End::Left`] when the keys are typed, otherwise when the input does.
async fn send_input(mut writer: HijackWriter, input: Input) -> Result<End, Failure> {
    let mut watcher = match input {
        Input::None => {
            // Held open: some daemons take a half close for a client that went away.
            return std::future::pending().await;
        }
        Input::Plain => None,
        Input::Keys(watcher) => Some(watcher),
    };
    let mut stdin = Stdin::new();
    let mut buffer = vec![0; PIECE];
    loop {
        let count = stdin.read(&mut buffer).await?;
        if count == 0 {
            let _ = writer.close().await;
            return Ok(End::Output);
        }
        let typed = &buffer[..count];
        let (bytes, leave) = match watcher.as_mut().map(|watcher| watcher.feed(typed)) {
            None => (typed.to_vec(), false),
            Some(Watched::Pass(bytes)) => (bytes, false),
            Some(Watched::Leave(bytes)) => (bytes, true),
        };
        // A container that has ended takes no input any more; its output says how it went.
        if writer.write_all(&bytes).await.is_err() {
            return Ok(End::Output);
        }
        if leave {
            return Ok(End::Left);
        }
    }
}
