//! `tare registry`: a registry in the same file, and the collection of its garbage.

mod flags;
mod settings;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use ::registry::server::{Auth, Gc, Htpasswd, Renewal, Repair, Server, Settings, collect_garbage};
use tokio::signal::unix::{SignalKind, signal};

use crate::config::LogLevel;
use crate::http::failure::chain;
use crate::logging;
use crate::say::{self, Ended, say};
use flags::{CHECK, GC, SERVE, Said};

const USAGE: &str = "Usage:  tare registry COMMAND

A registry of images (OCI distribution 1.1)

Commands:
  serve       Serve a registry
  gc          Remove what nothing in a registry needs any more, also while it is being served
  check       Read all that a registry keeps and say what is damaged, also while it is being served

Run 'tare registry COMMAND --help' for more information on a command.
";

/// Runs `tare registry` with the words after it.
pub fn registry_main<I: IntoIterator<Item = OsString>>(args: I) -> ExitCode {
    let words: Result<Vec<_>, _> = args.into_iter().map(OsString::into_string).collect();
    say::status(match words {
        Ok(words) => obey(&words),
        Err(word) => Err(format!("not UTF-8: {}", word.display()).into()),
    })
}

fn obey(words: &[String]) -> Result<(), Ended> {
    let Some((command, rest)) = words.split_first() else {
        return say(USAGE);
    };
    let wants_help = rest.iter().any(|word| word == "--help" || word == "-h");
    match command.as_str() {
        "--help" | "-h" | "help" => say(USAGE),
        "serve" if wants_help => say(&format!(
            "Usage:  tare registry serve --root DIR [OPTIONS]\n\nServe a registry\n\nOptions:\n{}",
            flags::usage(SERVE)
        )),
        "gc" if wants_help => say(&format!(
            "Usage:  tare registry gc --root DIR [OPTIONS]\n\nRemove what nothing needs any more\n\nOptions:\n{}",
            flags::usage(GC)
        )),
        "check" if wants_help => say(&format!(
            "Usage:  tare registry check --root DIR [OPTIONS]\n\nRead all that a registry keeps and say what is damaged, and which tags need it\n\nOptions:\n{}",
            flags::usage(CHECK)
        )),
        "check" => check(&hinted(Said::parse(CHECK, rest), "check")?),
        "serve" => Ok(serve(&hinted(Said::parse(SERVE, rest), "serve")?)?),
        "gc" => gc(&hinted(Said::parse(GC, rest), "gc")?),
        other => Err(Ended::Failed(format!(
            "tare registry: unknown command: {other}\n\nRun 'tare registry --help' for more information"
        ))),
    }
}

fn hinted<T>(result: Result<T, String>, command: &str) -> Result<T, String> {
    result.map_err(|text| format!("{text}\nSee 'tare registry {command} --help'."))
}

fn serve(said: &Said) -> Result<(), String> {
    let level = said
        .read("log-level", LogLevel::parse)?
        .unwrap_or(LogLevel::Info);
    let settings = hinted(settings::settings(said), "serve")?;
    let people = People::of(&settings, said);
    logging::start_plain(level);
    raise_descriptors();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(std::thread::available_parallelism().map_or(2, |n| n.get().max(2)))
        .enable_all()
        .build()
        .map_err(|e| format!("starting threads: {e}"))?;
    let scheme = if settings.tls.is_some() {
        "https"
    } else {
        "http"
    };
    let failed = |e: &dyn std::error::Error| format!("failed to serve the registry: {}", chain(e));
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate()).map_err(|e| failed(&e))?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(|e| failed(&e))?;
        let mut hangup = signal(SignalKind::hangup()).map_err(|e| failed(&e))?;
        let server = Server::bind(settings).await.map_err(|e| failed(&e))?;
        let address = server.address().map_err(|e| failed(&e))?;
        tracing::info!("registry at {scheme}://{address}");
        let renewal = server.renewal();
        let end = async move {
            loop {
                tokio::select! {
                    _ = terminate.recv() => break,
                    _ = interrupt.recv() => break,
                    _ = hangup.recv() => renew(&renewal, people.as_ref()),
                }
            }
            tracing::info!("ending");
        };
        server.run(end).await;
        Ok(())
    })
}

/// The file of names and passwords, and who is in it.
struct People {
    file: PathBuf,
    users: Arc<Htpasswd>,
}

impl People {
    fn of(settings: &Settings, said: &Said) -> Option<People> {
        let (Auth::Basic { users, .. } | Auth::OwnTokens { users, .. }) = &settings.auth else {
            return None;
        };
        Some(People {
            file: said.get("htpasswd")?.into(),
            users: Arc::clone(users),
        })
    }

    fn renew(&self) -> Result<(), String> {
        let text = settings::read_file(&self.file)?;
        let replaced = self.users.replace(&text);
        replaced.map_err(|e| format!("{}: {e}", self.file.display()))
    }
}

/// Certificates are renewed and people come and go while a registry is served. What cannot be read stays as it was.
fn renew(renewal: &Renewal, people: Option<&People>) {
    match renewal.renew() {
        Ok(()) => tracing::info!("certificates are read again"),
        Err(error) => tracing::error!("certificates stay as they are: {}", chain(&error)),
    }
    match people.map(People::renew) {
        None => {}
        Some(Ok(())) => tracing::info!("names and passwords are read again"),
        Some(Err(error)) => tracing::error!("names and passwords stay as they are: {error}"),
    }
}

/// As many files as the administrator allows: each pull has a connection and a file.
fn raise_descriptors() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::debug!("raising the limit of open files: {error}");
    }
}

fn check(said: &Said) -> Result<(), Ended> {
    let root = hinted(settings::root(said), "check")?;
    let repair = match said.is_set("repair") {
        true => Repair::Drop,
        false => Repair::No,
    };
    let (report, is_fine) = ::registry::server::check(&root, repair)
        .map_err(|e| format!("checking the registry: {}", chain(&e)))?;
    say(&format!("{report}\n"))?;
    // Everything has been said.
    is_fine
        .then_some(())
        .ok_or_else(|| Ended::Failed(String::new()))
}

fn gc(said: &Said) -> Result<(), Ended> {
    let root = hinted(settings::root(said), "gc")?;
    let (rules, grace) = (settings::rules(said)?, settings::grace(said)?);
    let has_own = ["keep", "gc-grace", "upload-grace"]
        .iter()
        .any(|name| said.is_set(name));
    let failed = |e| format!("collecting garbage: {}", chain(&e));
    match collect_garbage(&root, has_own.then_some((&rules, grace))).map_err(failed)? {
        Gc::ByServer(text) => say(&format!("{text}\n")),
        Gc::Here(collected) => say(&format!("{collected}\n")),
    }
}
