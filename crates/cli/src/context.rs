//! What every command is given: how the program was called, the global flags, and the way to the daemon.

use std::cell::OnceCell;
use std::path::PathBuf;
use std::pin::Pin;

use api::client::{Client, Config};

use crate::autostart;
use crate::config_file::{self, ConfigFile};
use crate::contexts;
use crate::failure::Failure;
use crate::flags::Matches;
use crate::globals::Globals;
use crate::host::{Host, HostError};

/// The surroundings of a command. Reads nothing until it is asked.
#[derive(Debug)]
pub struct Context {
    /// How texts name the program: `tare`, or `docker` when called as that.
    pub program: &'static str,
    /// The global flags.
    pub globals: Globals,
    config: OnceCell<ConfigFile>,
}

impl Context {
    pub(crate) fn new(program: &'static str, globals: Globals) -> Context {
        Context {
            program,
            globals,
            config: OnceCell::new(),
        }
    }

    /// Which daemon to talk to.
    pub fn host(&self) -> Result<Host, Failure> {
        let refused = |error: HostError| Failure::new(format!("Failed to initialize: {error}"));
        if let Some(address) = &self.globals.host {
            return Host::named(address).map_err(refused);
        }
        let name = self.context_name();
        if name != contexts::DEFAULT {
            let context = self.contexts().get(&name).map_err(|failure| {
                let text =
                    format!("Failed to initialize: unable to resolve docker endpoint: {failure}");
                Failure::new(text)
            })?;
            return Host::named(context.host()).map_err(refused);
        }
        match environment("DOCKER_HOST") {
            Some(address) => Host::named(&address).map_err(refused),
            None => Ok(Host::default_host()),
        }
    }

    /// The name of the context in force: what was asked for most directly counts.
    pub(crate) fn context_name(&self) -> String {
        if self.globals.host.is_some() {
            return contexts::DEFAULT.to_owned();
        }
        if let Some(name) = &self.globals.context {
            return name.clone();
        }
        if environment("DOCKER_HOST").is_some() {
            return contexts::DEFAULT.to_owned();
        }
        let configured =
            || Some(self.config_file().current_context.clone()).filter(|name| !name.is_empty());
        environment("DOCKER_CONTEXT")
            .or_else(configured)
            .unwrap_or_else(|| contexts::DEFAULT.to_owned())
    }

    /// The contexts that the user has stored.
    pub(crate) fn contexts(&self) -> contexts::Store {
        contexts::Store::new(&self.config_folder())
    }

    /// The folder of the client's configuration.
    pub(crate) fn config_folder(&self) -> PathBuf {
        config_file::folder(self.globals.config.as_deref())
    }

    /// The client's configuration, read when it is first asked for.
    pub(crate) fn config_file(&self) -> &ConfigFile {
        self.config
            .get_or_init(|| config_file::load(&self.config_folder()))
    }

    /// The keys that leave a container: the flag's, then the configured ones; empty for the daemon's own.
    pub(crate) fn detach_keys<'a>(&'a self, matches: &'a Matches) -> &'a str {
        match matches.text_or_empty("detach-keys") {
            "" => &self.config_file().detach_keys,
            keys => keys,
        }
    }

    /// Asks the daemon something if it is there; it is never started for that.
    pub(crate) fn ask<T>(
        &self,
        work: impl AsyncFnOnce(&Client) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let host = Host {
            is_default: false,
            ..self.host()?
        };
        self.talk_to(&host, work)
    }

    /// Runs what talks to the daemon, on one thread; starts the daemon first if it is our own and nobody is there. Commands that
    /// do not talk never start the machinery.
    pub fn talk<T>(
        &self,
        work: impl AsyncFnOnce(&Client) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        self.talk_to(&self.host()?, work)
    }

    fn talk_to<T>(
        &self,
        host: &Host,
        work: impl AsyncFnOnce(&Client) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        self.run(async {
            let client = self.connected(host).await?;
            work(&client).await
        })
    }

    /// Runs what waits, on one thread.
    pub(crate) fn run<T>(
        &self,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let mut result = None;
        drive(Box::pin(async { result = Some(work.await) }))?;
        result.expect("driven to its end, the work has left its result")
    }

    /// The failure of a command that could not bring its container to life: with the program's name, where to read on, and a
    /// status that tells why, as the shell has it: 127 no such program, 126 cannot be run, 125 all else.
    pub(crate) fn no_container(&self, failure: &Failure, command: &str) -> Failure {
        if failure.message.is_empty() {
            return failure.clone();
        }
        let status = status_without_container(&failure.message);
        Failure {
            status,
            ..self.misread(failure, command)
        }
    }

    /// The failure of a command whose flags do not go together.
    pub(crate) fn misread(&self, failure: &Failure, command: &str) -> Failure {
        let program = self.program;
        let message = format!(
            "{program}: {}\n\nRun '{program} {command} --help' for more information",
            failure.message
        );
        Failure::with_status(125, message)
    }

    /// As [`connect`](Self::connect), in the program once and not in every command.
    fn connected<'a>(
        &'a self,
        host: &'a Host,
    ) -> Pin<Box<dyn Future<Output = Result<Client, Failure>> + 'a>> {
        Box::pin(self.connect(host))
    }

    async fn connect(&self, host: &Host) -> Result<Client, Failure> {
        let headers = self
            .config_file()
            .http_headers
            .clone()
            .into_iter()
            .collect();
        let config = Config {
            api_version: environment("DOCKER_API_VERSION"),
            headers,
        };
        let client = Client::with_config(&host.address, &config)?;
        if !host.is_default {
            return Ok(client);
        }
        match client.connect().await {
            Ok(()) => Ok(client),
            Err(error) if error.is_nobody_there() && autostart::is_wanted() => {
                autostart::start()?;
                client.connect().await?;
                Ok(client)
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// Drives a command to its end. Every command is a future of its own type, and large: behind a pointer, the machinery is in the
/// program once, and the stack holds none of them.
fn drive(work: Pin<Box<dyn Future<Output = ()> + '_>>) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(work);
    // A thread that reads a file for an upload that was refused must not hold the end up.
    runtime.shutdown_background();
    Ok(())
}

/// A variable that is set to something.
fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Docker's client tells by the text, since the daemon sends no more.
fn status_without_container(message: &str) -> u8 {
    let says = |text: &str| message.contains(text);
    if says("executable file not found")
        || says("no such file or directory")
        || says("system cannot find the file specified")
    {
        return 127;
    }
    if says("permission denied") || says("is a directory") {
        return 126;
    }
    125
}

#[cfg(test)]
mod tests {
    use super::status_without_container;

    #[test]
    fn the_text_tells_the_status() {
        assert_eq!(
            status_without_container("exec: \"nope\": executable file not found in $PATH"),
            127
        );
        assert_eq!(
            status_without_container("exec: \"/etc\": is a directory: permission denied"),
            126
        );
        assert_eq!(status_without_container("No such image: nope:latest"), 125);
    }
}
