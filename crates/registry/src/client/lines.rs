//! The servers of one repository: which is asked next, and which is not believed any more.

use std::sync::atomic::{AtomicUsize, Ordering};

use reqwest::header::HeaderMap;
use reqwest::{Method, Response};

use super::Shared;
use super::error::{Error, Kind, Result};
use super::exchange::{Ask, Line};
use super::repository::Repository;

/// Mirrors first, the registry itself last; never empty.
pub(super) struct Lines {
    all: Vec<Line>,
    /// The line that answered last: the next request begins there.
    best: AtomicUsize,
}

impl Lines {
    pub(super) fn new(all: Vec<Line>) -> Self {
        Lines {
            all,
            best: AtomicUsize::new(0),
        }
    }

    fn best(&self) -> &Line {
        &self.all[self.best.load(Ordering::Relaxed).min(self.all.len() - 1)]
    }

    /// Host of the server that answered last.
    pub(super) fn host(&self) -> String {
        self.best().endpoint.host()
    }

    /// The registry itself, which answers if any does.
    pub(super) async fn origin(&self, shared: &Shared) -> Result<&Line> {
        let mut origins = self.all.iter().filter(|line| line.endpoint.is_origin);
        let chosen = self.best();
        if chosen.answered.load(Ordering::Relaxed) && chosen.endpoint.is_origin {
            return Ok(chosen);
        }
        let first = origins.next().unwrap_or(&self.all[0]);
        let Some(plain) = origins.next() else {
            return Ok(first);
        };
        // An insecure registry: whether it speaks TLS shows when it is asked.
        let ask = Ask::new(Method::GET, first.endpoint.url("", &[])?);
        match first.send(shared, &ask).await {
            Err(error) if error.kind() == Kind::Unreachable => {
                self.prefer(plain);
                plain.answered.store(true, Ordering::Relaxed);
                Ok(plain)
            }
            _ => Ok(first),
        }
    }

    pub(super) fn number(&self, line: &Line) -> Option<usize> {
        self.all.iter().position(|known| std::ptr::eq(known, line))
    }

    pub(super) fn get(&self, number: usize) -> Option<&Line> {
        self.all.get(number)
    }

    fn prefer(&self, line: &Line) {
        self.best
            .store(self.number(line).unwrap_or(0), Ordering::Relaxed);
    }

    /// Those that are believed, in the order in which they are asked: the one that answered last before all others.
    fn trusted(&self) -> impl Iterator<Item = &Line> {
        let best = self.best();
        let others = self
            .all
            .iter()
            .filter(move |line| !std::ptr::eq(*line, best));
        std::iter::once(best)
            .chain(others)
            .filter(|line| !line.distrusted.load(Ordering::Relaxed))
    }

    /// Asks a mirror nothing more that sent what cannot be. False where that leaves nobody to ask, and for the registry
    /// itself, whose word is the last one.
    fn distrust(&self, line: &Line) -> bool {
        if line.endpoint.is_origin || !self.trusted().any(|other| !std::ptr::eq(other, line)) {
            return false;
        }
        line.distrusted.store(true, Ordering::Relaxed);
        true
    }

    /// Content of this line was bad. Whether that is a mirror that need not be asked again, or was turned from already.
    pub(super) fn reject(&self, number: usize) -> bool {
        let Some(line) = self.all.get(number) else {
            return false;
        };
        line.distrusted.load(Ordering::Relaxed) || self.distrust(line)
    }

    /// See [`Repository::give_up_mirrors`].
    pub(super) fn distrust_mirrors(&self) -> bool {
        let mut mattered = false;
        for line in self.all.iter().filter(|line| !line.endpoint.is_origin) {
            mattered |= line.served.swap(false, Ordering::Relaxed);
            self.distrust(line);
        }
        mattered
    }
}

impl Repository {
    /// Asks one endpoint after the other. The last one's error is the one to tell: that is the registry itself. An
    /// insecure registry's second line, without TLS, is for when the first cannot be reached.
    pub(super) async fn ask(
        &self,
        method: Method,
        rest: &str,
        query: &[(&str, &str)],
        headers: &HeaderMap,
        step: &str,
    ) -> Result<(Response, &Line)> {
        let mut told: Option<Error> = None;
        let mut mirrors = Vec::new();
        let order: Vec<&Line> = self.lines().trusted().collect();
        for line in order {
            let ask = Ask {
                headers: headers.clone(),
                ..Ask::new(method.clone(), self.url(line, rest, query)?)
            };
            match line.send(self.shared(), &ask).await {
                Ok(response) => {
                    self.lines().prefer(line);
                    line.served.store(true, Ordering::Relaxed);
                    return Ok((response, line));
                }
                Err(error) => {
                    let error = error.at(&line.endpoint.host(), step);
                    tracing::debug!(%error, "an endpoint failed");
                    if !line.endpoint.is_origin {
                        mirrors.push(format!("{}: {}", error.host(), error.problem()));
                    }
                    let final_word = line.endpoint.is_origin && error.kind() != Kind::Unreachable;
                    told = Some(worse(told, error, line.endpoint.is_origin));
                    if final_word {
                        break;
                    }
                }
            }
        }
        let told = told.unwrap_or_else(|| Error::local("there is no server to ask"));
        // Who hears that the registry cannot be reached wants to know why nobody stood in for it.
        Err(match told.kind() {
            Kind::Unreachable | Kind::Registry => told.after_mirrors(mirrors),
            _ => told,
        })
    }

    /// What `line` answered makes no sense: a mirror is asked nothing more as long as this repository is open, and the next
    /// one may know better. Gives the error back where nobody is left who might.
    pub(super) fn doubt(&self, line: &Line, error: Error, step: &str) -> Result<()> {
        let host = line.endpoint.host();
        let error = error.at(&host, step);
        if !self.lines().distrust(line) {
            return Err(error);
        }
        tracing::warn!(%error, "the mirror {host} is not believed any more during this pull");
        Ok(())
    }
}

/// Of two errors the one to tell: the registry's own over a mirror's, and one that names a reason over one that says
/// that nobody was there.
fn worse(told: Option<Error>, new: Error, from_origin: bool) -> Error {
    match told {
        Some(old) if !from_origin => old,
        _ => new,
    }
}
