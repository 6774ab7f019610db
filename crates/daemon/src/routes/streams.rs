//! What flows: `attach`, `exec start` and `logs`.

use api::types::exec::ExecStartRequest;
use bytes::{BufMut as _, Bytes, BytesMut};
use engine::{AttachOptions, Attached, ExecStart, Flow, Input, LogQuery, Output, Stream};
use http::{HeaderMap, StatusCode};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{Call, Reply};
use crate::convert::{compat, exec, time};
use crate::http::failure::Failure;
use crate::http::serve::{Hijack, Outcome, Pending, RawStream, Reader, Upgrade, Writer};
use crate::http::version::ApiVersion;
use crate::http::{body, read};

/// Bytes read from a client at a time.
const INPUT: usize = 16 << 10;

/// How a process's output is written to the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// A terminal's bytes as they are.
    Raw,
    /// Docker's frames: the stream's number, three zeros, the length, the bytes.
    Frames,
}

impl Form {
    fn of(tty: bool) -> Self {
        if tty { Form::Raw } else { Form::Frames }
    }

    fn write(self, stream: Stream, bytes: Bytes) -> Bytes {
        if self == Form::Raw {
            return bytes;
        }
        let mut framed = BytesMut::with_capacity(8 + bytes.len());
        put_frame(&mut framed, stream, &bytes);
        framed.freeze()
    }

    /// A frame for each line, as Docker has it for logs: docker-py hands its users frame after frame.
    fn write_lines(self, stream: Stream, bytes: Bytes) -> Bytes {
        if self == Form::Raw {
            return bytes;
        }
        let mut framed = BytesMut::with_capacity(bytes.len() + bytes.len() / 4);
        for line in bytes.split_inclusive(|&b| b == b'\n') {
            put_frame(&mut framed, stream, line);
        }
        framed.freeze()
    }
}

fn put_frame(out: &mut BytesMut, stream: Stream, bytes: &[u8]) {
    let number = match stream {
        Stream::Stdout => 1,
        Stream::Stderr => 2,
    };
    out.put_u32(number << 24);
    out.put_u32(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
    out.put(bytes);
}

/// Which way bytes go on a connection that was taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stdin {
    /// What the client sends is for the process.
    Wanted,
    /// It is not, and its end means nothing.
    Ignored,
}

pub(super) async fn attach(call: Call) -> Result<Outcome, Failure> {
    let options = AttachOptions {
        stdin: call.query.on("stdin"),
        stdout: call.query.on("stdout"),
        stderr: call.query.on("stderr"),
        stream: call.query.on("stream"),
        logs: call.query.on("logs"),
        detach_keys: exec::detach_keys(call.query.text("detachKeys"))?,
    };
    let stdin = if options.stdin && options.stream {
        Stdin::Wanted
    } else {
        Stdin::Ignored
    };
    let attached = call.app.engine.attach(call.name(), options).await?;
    Ok(taken_over(&call, attached, stdin))
}

pub(super) async fn exec_start(call: Call) -> Result<Outcome, Failure> {
    let (app, id, version, upgrade) = (
        call.app.clone(),
        call.name().to_owned(),
        call.version,
        call.upgrade(),
    );
    let request: ExecStartRequest = read::json_or_default(&call.headers, call.body).await?;
    let view = app.engine.exec_inspect(&id)?;
    let start = ExecStart {
        detach: request.detach,
        console_size: exec::console_size(request.console_size),
    };
    if start.detach {
        app.engine.exec_start(&id, start).await?;
        return Ok(Outcome::Answer(body::empty(StatusCode::OK)));
    }
    let stdin = if view.options.attach_stdin {
        Stdin::Wanted
    } else {
        Stdin::Ignored
    };
    let tty = view.options.tty;
    // The head goes out before the process runs: docker-py loses what comes in the same read as the head.
    Ok(stream(upgrade, version, tty, move |raw| {
        Box::pin(async move {
            match app.engine.exec_start(&id, start).await {
                Ok(Some(attached)) => joined(raw, attached, stdin).await,
                Ok(None) => {}
                Err(error) => refused(raw, tty, &error).await,
            }
        })
    }))
}

/// The stream says why there is none; the exit code (127, 126) is what clients ask the exec for afterwards.
async fn refused(mut raw: RawStream, tty: bool, error: &engine::Error) {
    let text = Bytes::from(format!("{}\r\n", error.chain()));
    let bytes = Form::of(tty).write(Stream::Stdout, text);
    // A client that has left does not want to know.
    drop(raw.writer.write_all(&bytes).await);
    drop(raw.writer.shutdown().await);
}

fn taken_over(call: &Call, attached: Attached, stdin: Stdin) -> Outcome {
    hijack(call.upgrade(), call.version, attached, stdin)
}

fn hijack(upgrade: Upgrade, version: ApiVersion, attached: Attached, stdin: Stdin) -> Outcome {
    stream(upgrade, version, attached.tty, move |raw| {
        Box::pin(joined(raw, attached, stdin))
    })
}

fn stream(
    upgrade: Upgrade,
    version: ApiVersion,
    tty: bool,
    run: impl FnOnce(RawStream) -> Pending<()> + Send + 'static,
) -> Outcome {
    let media_type = match upgrade {
        Upgrade::Tcp => compat::stream_type(version, tty),
        Upgrade::Bare => compat::RAW,
    };
    Outcome::Hijack(Hijack {
        upgrade,
        media_type,
        headers: HeaderMap::new(),
        head_size: 0,
        run: Box::new(run),
    })
}

/// Carries bytes both ways until the process's output ends, the client detaches, or the client is gone.
async fn joined(raw: RawStream, attached: Attached, stdin: Stdin) {
    let Attached { tty, input, output } = attached;
    let RawStream {
        early,
        reader,
        mut writer,
        hung_up,
    } = raw;
    let towards_client = send_output(&mut writer, output, Form::of(tty));
    let from_client = take_input(reader, early, input, stdin);
    tokio::select! {
        _done = towards_client => {}
        // Comes back only where the client is to be let go.
        () = from_client => {}
        () = hung_up => {}
    }
    // The client may have closed the connection first.
    drop(writer.shutdown().await);
}

async fn send_output(writer: &mut Writer, mut output: Output, form: Form) -> std::io::Result<()> {
    while let Some((stream, bytes)) = output.next().await {
        writer.write_all(&form.write(stream, bytes)).await?;
    }
    writer.flush().await
}

/// Returns when the client pressed the detach keys or broke the connection; after a half close it never does,
/// because the output goes on.
async fn take_input(mut reader: Reader, early: Bytes, mut input: Input, stdin: Stdin) {
    let mut pending = early;
    loop {
        if !pending.is_empty() && stdin == Stdin::Wanted {
            match input.write(&pending).await {
                Ok(Flow::Continue) => {}
                Ok(Flow::Detached) => return,
                Ok(Flow::Closed) => return drain(reader).await,
                Err(error) => {
                    tracing::debug!(%error, "a client's input could not be delivered");
                    return drain(reader).await;
                }
            }
        }
        let mut buffer = BytesMut::with_capacity(INPUT);
        match reader.read_buf(&mut buffer).await {
            Ok(0) => break,
            Ok(_) => pending = buffer.freeze(),
            Err(_gone) => return,
        }
    }
    if stdin == Stdin::Wanted
        && let Err(error) = input.close().await
    {
        tracing::debug!(%error, "closing stdin");
    }
    std::future::pending::<()>().await;
}

/// Reads on, so that a client that writes to a process that does not listen is not stuck; notices a broken connection.
async fn drain(mut reader: Reader) {
    let mut buffer = [0; 1024];
    loop {
        match reader.read(&mut buffer).await {
            Ok(0) => break,
            Ok(_) => {}
            Err(_gone) => return,
        }
    }
    std::future::pending::<()>().await;
}

pub(super) async fn logs(call: Call) -> Reply {
    let query = log_query(&call)?;
    let mut logs = call.app.engine.logs(call.name(), query).await?;
    let media_type = compat::stream_type(call.version, logs.tty);
    let form = Form::of(logs.tty);
    Ok(body::produced(media_type, |sender| async move {
        while let Some(piece) = logs.next().await {
            let piece = match piece {
                Ok((stream, bytes)) => Ok(form.write_lines(stream, bytes)),
                Err(error) => {
                    tracing::error!(error = %error.chain(), "reading a log");
                    Err(std::io::Error::other(error))
                }
            };
            let failed = piece.is_err();
            if sender.send(piece).await.is_err() || failed {
                return;
            }
        }
    }))
}

fn log_query(call: &Call) -> Result<LogQuery, Failure> {
    let query = &call.query;
    let (stdout, stderr) = (query.on("stdout"), query.on("stderr"));
    if !stdout && !stderr {
        return Err(Failure::bad_request(
            "Bad parameters: you must choose at least one stream",
        ));
    }
    Ok(LogQuery {
        stdout,
        stderr,
        since: time::unix(query.text("since"))?,
        // The end of time that docker-py means by 0.
        until: time::unix(
            Some(query.text("until"))
                .filter(|t| *t != "0")
                .unwrap_or_default(),
        )?,
        // What is no number means all, and so does a negative one.
        tail: query.text("tail").parse().ok(),
        follow: query.on("follow"),
        timestamps: query.on("timestamps"),
        details: query.on("details"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames() {
        let framed = Form::Frames.write(Stream::Stderr, Bytes::from_static(b"err\n"));
        assert_eq!(&framed[..], b"\x02\0\0\0\0\0\0\x04err\n");
        let raw = Form::Raw.write(Stream::Stdout, Bytes::from_static(b"x"));
        assert_eq!(&raw[..], b"x");
        let lines = Form::Frames.write_lines(Stream::Stdout, Bytes::from_static(b"a\n\nb"));
        assert_eq!(
            &lines[..],
            b"\x01\0\0\0\0\0\0\x02a\n\x01\0\0\0\0\0\0\x01\n\x01\0\0\0\0\0\0\x01b"
        );
    }
}
