//! How slow a server may be.
//!
//! A limit on silence alone is none: who sends a byte a second is never silent and never done. So whoever waits for a server
//! gives it windows of time, in each of which enough has to come, or has to be taken. Only the time that is spent waiting
//! counts: a disk of ours that is slow is not the server's fault.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::Stream;
use tokio::time::{Instant, timeout};

use super::error::{Error, Result};
use super::upload::ByteStream;

/// Windows that a server has for its answer once it has all of an upload: it may have to hash it, or to move it elsewhere.
const WINDOWS_FOR_ANSWER: u32 = 10;

/// How long an answer may take to begin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Patience {
    #[default]
    Usual,
    /// The request makes the server do something with a whole blob.
    Long,
}
/// Windows in a row without a chunk of an upload being taken.
const WINDOWS_FOR_CHUNK: u32 = 2;

/// In each window of waiting so many bytes have to come, or all.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    pub(super) window: Duration,
    pub(super) least: u64,
    /// For a connection to stand, which is not part of any window.
    pub(super) connect: Duration,
}

impl Pace {
    /// The answer to a request whose body has so many bytes: its head, that is.
    pub(super) async fn head<T>(
        &self,
        length: usize,
        patience: Patience,
        answer: impl Future<Output = T>,
    ) -> Result<T> {
        let for_body = length as u64 / self.least.max(1);
        let for_answer = match patience {
            Patience::Usual => 1,
            Patience::Long => WINDOWS_FOR_ANSWER,
        };
        let windows = u32::try_from(for_body)
            .unwrap_or(u32::MAX)
            .saturating_add(for_answer);
        let most = self.connect + self.window.saturating_mul(windows);
        let silent = |_| Error::unreachable("nothing came for too long");
        timeout(most, answer).await.map_err(silent)
    }

    pub(super) fn begin(self) -> Pacer {
        Pacer {
            pace: self,
            left: self.window,
            came: 0,
        }
    }

    /// Content on its way out, and whoever sees to it that it goes.
    pub(super) fn watched(self, content: ByteStream) -> (Watched, Watch) {
        let seen = Arc::new(Seen::default());
        let watched = Watched {
            content,
            seen: Arc::clone(&seen),
        };
        (watched, Watch { pace: self, seen })
    }
}

/// Waits for one body.
#[derive(Debug)]
pub(super) struct Pacer {
    pace: Pace,
    /// Of this window, to wait.
    left: Duration,
    /// Within this window.
    came: u64,
}

impl Pacer {
    /// Waits for what comes next; [`Pacer::came`] is to be told what it was.
    pub(super) async fn wait<T>(&mut self, next: impl Future<Output = T>) -> Result<T> {
        let mut next = pin!(next);
        loop {
            let since = Instant::now();
            match timeout(self.left, &mut next).await {
                Ok(done) => {
                    self.left = self.left.saturating_sub(since.elapsed());
                    return Ok(done);
                }
                Err(_) if self.came < self.pace.least => {
                    let (came, window) = (self.came, self.pace.window.as_secs());
                    return Err(Error::unreachable(match came {
                        0 => "nothing came for too long".to_owned(),
                        _ => format!("it is too slow: {came} bytes came in {window} seconds"),
                    }));
                }
                Err(_) => *self = self.pace.begin(),
            }
        }
    }

    pub(super) fn came(&mut self, bytes: usize) {
        self.came = self.came.saturating_add(bytes as u64);
    }
}

#[derive(Debug, Default)]
struct Seen {
    /// Chunks that were taken.
    taken: AtomicU64,
    /// We are the ones that are waited for.
    making: AtomicBool,
    done: AtomicBool,
}

/// Content on its way out.
pub(super) struct Watched {
    content: ByteStream,
    seen: Arc<Seen>,
}

impl Stream for Watched {
    type Item = std::io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let polled = self.content.as_mut().poll_next(context);
        let seen = &self.seen;
        seen.making.store(polled.is_pending(), Ordering::Relaxed);
        match &polled {
            Poll::Ready(Some(_)) => {
                seen.taken.fetch_add(1, Ordering::Relaxed);
            }
            Poll::Ready(None) => seen.done.store(true, Ordering::Relaxed),
            Poll::Pending => {}
        }
        polled
    }
}

/// Whether it goes on.
pub(super) struct Watch {
    pace: Pace,
    seen: Arc<Seen>,
}

impl Watch {
    /// Ends when the server takes nothing any more, or does not answer.
    pub(super) async fn stalled(self) -> Error {
        tokio::time::sleep(self.pace.connect).await;
        let (mut taken, mut idle) = (self.taken(), 0);
        loop {
            tokio::time::sleep(self.pace.window).await;
            let now = self.taken();
            if now != taken || self.seen.making.load(Ordering::Relaxed) {
                (taken, idle) = (now, 0);
                continue;
            }
            idle += 1;
            let done = self.seen.done.load(Ordering::Relaxed);
            let most = if done {
                WINDOWS_FOR_ANSWER
            } else {
                WINDOWS_FOR_CHUNK
            };
            if idle >= most {
                return Error::unreachable(match done {
                    true => "no answer came to what was sent",
                    false => "it takes nothing any more of what is sent",
                });
            }
        }
    }

    fn taken(&self) -> u64 {
        self.seen.taken.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt as _;
    use futures_util::stream;
    use tokio::time::sleep;

    use super::*;

    const PACE: Pace = Pace {
        window: Duration::from_secs(10),
        least: 100,
        connect: Duration::from_secs(1),
    };

    /// Chunks of this size, so far apart: how many come before it is too slow; of 1000 at most.
    async fn chunks(size: usize, apart: Duration) -> usize {
        let mut pacer = PACE.begin();
        for number in 0..1000 {
            if pacer.wait(sleep(apart)).await.is_err() {
                return number;
            }
            pacer.came(size);
        }
        1000
    }

    #[tokio::test(start_paused = true)]
    async fn who_drips_is_cut_off() {
        assert_eq!(chunks(1, Duration::from_secs(1)).await, 10);
        assert_eq!(chunks(1000, Duration::from_secs(21)).await, 0);
        assert_eq!(chunks(100, Duration::from_secs(8)).await, 1000);
        assert_eq!(chunks(1, Duration::from_millis(50)).await, 1000);
    }

    #[tokio::test(start_paused = true)]
    async fn only_waiting_counts() {
        let mut pacer = PACE.begin();
        for _ in 0..100 {
            pacer.wait(sleep(Duration::from_millis(1))).await.unwrap();
            pacer.came(1);
            sleep(Duration::from_secs(60)).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_nothing_is_cut_off_and_who_makes_something_is_not() {
        let chunk = || Ok(Bytes::from_static(b"x"));
        let (mut content, watch) = PACE.watched(Box::pin(stream::iter([chunk(), chunk()])));
        content.next().await.unwrap().unwrap();
        let begun = Instant::now();
        assert!(watch.stalled().await.to_string().contains("takes nothing"));
        assert_eq!(begun.elapsed(), Duration::from_secs(21));

        let slow = stream::once(async move {
            sleep(Duration::from_secs(100)).await;
            chunk()
        });
        let (mut content, watch) = PACE.watched(Box::pin(slow));
        let begun = Instant::now();
        tokio::select! {
            error = watch.stalled() => assert!(error.to_string().contains("no answer")),
            () = async { while content.next().await.is_some() {} std::future::pending().await } => {}
        }
        assert!(begun.elapsed() >= Duration::from_secs(200));
    }
}
