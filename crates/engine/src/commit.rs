//! A container into an image: `docker commit`.

use std::sync::Arc;

use image::{CommitOptions, ImageId, apply_changes};
use oci::{ContainerConfig, Healthcheck, Reference};
use serde_json::{Map, Value};

use crate::blocking;
use crate::container::Container;
use crate::engine::Engine;
use crate::error::{ErrorKind, Result};
use crate::lifecycle::Phase;
use crate::options::ContainerOptions;

/// What the image is to be called and to say.
#[derive(Debug, Clone, Default)]
pub struct CommitRequest {
    pub reference: Option<Reference>,
    pub author: String,
    pub comment: String,
    /// Freeze the container meanwhile, so that the image holds one moment of it.
    pub pause: bool,
    /// Dockerfile lines (`-c`).
    pub changes: Vec<String>,
    /// Wins over the container's own configuration, which fills what it leaves open; `None`: the container's.
    pub config: Option<ContainerConfig>,
}

impl Engine {
    /// Makes an image of a container's changes.
    pub async fn commit(&self, name: &str, request: CommitRequest) -> Result<ImageId> {
        let shared = Arc::clone(self.shared());
        let handle = shared.find(name)?;
        let options = options(&handle, &request)?;
        let paused = request.pause
            && matches!(handle.phase(), Phase::Running { .. })
            && self.freeze(handle.birth.id.as_str()).await?;
        let (images, id) = (shared.images.clone(), handle.birth.id.clone());
        let made = blocking(move || images.commit_container(&id, options)).await;
        if paused {
            // It may have been killed meanwhile; then there is nothing to thaw.
            match self.unpause(handle.birth.id.as_str()).await {
                Err(error) if !is_over(error.kind()) => return Err(error),
                _ => {}
            }
        }
        let image = made?;
        let reference = request.reference.map(|name| name.or_latest().familiar());
        let extra = [
            ("comment", request.comment),
            ("imageID", image.to_string()),
            ("imageRef", reference.unwrap_or_default()),
        ];
        shared.announce(&handle, "commit", &extra);
        Ok(image)
    }

    /// Pauses it, unless it has ended by now.
    async fn freeze(&self, id: &str) -> Result<bool> {
        match self.pause(id).await {
            Ok(()) => Ok(true),
            Err(error) if is_over(error.kind()) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

fn is_over(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Conflict | ErrorKind::NotFound)
}

fn options(container: &Container, request: &CommitRequest) -> Result<CommitOptions> {
    let birth = &container.birth;
    let own = config_of(&birth.options, birth.id.short());
    let created_by = own.cmd.clone().unwrap_or_default().join(" ");
    let mut config = request.config.clone().unwrap_or_else(|| own.clone());
    apply_changes(&request.changes, &mut config)?;
    if request.config.is_some() {
        fill(&mut config, own);
    }
    Ok(CommitOptions {
        base: birth.image.clone(),
        config,
        author: request.author.clone(),
        comment: request.comment.clone(),
        created_by,
        reference: request.reference.clone(),
    })
}

/// A container's configuration as an image carries it.
fn config_of(options: &ContainerOptions, short_id: &str) -> ContainerConfig {
    let hostname = match options.hostname.as_str() {
        "" => short_id,
        asked => asked,
    };
    let mut extra = Map::new();
    for (name, value) in [
        ("Hostname", Value::from(hostname)),
        ("Domainname", Value::from(options.domainname.as_str())),
        ("AttachStdin", options.attach.stdin.into()),
        ("AttachStdout", options.attach.stdout.into()),
        ("AttachStderr", options.attach.stderr.into()),
        ("Tty", options.tty.into()),
        ("OpenStdin", options.open_stdin.into()),
        ("StdinOnce", options.stdin_once.into()),
        ("Image", Value::from(options.image.as_str())),
    ] {
        extra.insert(name.to_owned(), value);
    }
    if let Some(seconds) = options.stop_timeout {
        extra.insert("StopTimeout".to_owned(), seconds.into());
    }
    let some = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
    ContainerConfig {
        user: options.user.clone(),
        exposed_ports: non_empty(options.exposed_ports.iter().cloned().collect()),
        env: Some(options.env.clone()),
        entrypoint: options.entrypoint.clone(),
        cmd: options.cmd.clone(),
        volumes: non_empty(options.volumes.iter().cloned().collect()),
        working_dir: options.working_dir.clone(),
        labels: Some(options.labels.clone()),
        stop_signal: some(&options.stop_signal),
        healthcheck: options.healthcheck.as_ref().map(|check| Healthcheck {
            test: check.test.clone(),
            interval: check.interval,
            timeout: check.timeout,
            start_period: check.start_period,
            start_interval: check.start_interval,
            retries: check.retries,
        }),
        shell: options.shell.clone(),
        on_build: options.on_build.clone(),
        args_escaped: options.args_escaped,
        extra,
    }
}

fn non_empty(set: oci::StringSet) -> Option<oci::StringSet> {
    (!set.0.is_empty()).then_some(set)
}

/// Docker's merge of a configuration that the user gave with the container's.
fn fill(config: &mut ContainerConfig, own: ContainerConfig) {
    if config.user.is_empty() {
        config.user = own.user;
    }
    if config.working_dir.is_empty() {
        config.working_dir = own.working_dir;
    }
    for (mine, theirs) in [
        (&mut config.exposed_ports, own.exposed_ports),
        (&mut config.volumes, own.volumes),
    ] {
        if let Some(theirs) = theirs {
            mine.get_or_insert_default().0.extend(theirs.0);
        }
    }
    let key = |pair: &str| pair.split('=').next().unwrap_or_default().to_owned();
    let env = config.env.get_or_insert_default();
    for pair in own.env.unwrap_or_default() {
        if !env.iter().any(|have| key(have) == key(&pair)) {
            env.push(pair);
        }
    }
    let labels = config.labels.get_or_insert_default();
    for (name, value) in own.labels.unwrap_or_default() {
        labels.entry(name).or_insert(value);
    }
    if config.entrypoint.as_ref().is_none_or(Vec::is_empty) {
        if config.cmd.as_ref().is_none_or(Vec::is_empty) {
            config.cmd = own.cmd;
            config.args_escaped = own.args_escaped;
        }
        config.entrypoint = config.entrypoint.take().or(own.entrypoint);
    }
    config.healthcheck = config.healthcheck.take().or(own.healthcheck);
    config.stop_signal = config.stop_signal.take().or(own.stop_signal);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own() -> ContainerConfig {
        let options = ContainerOptions {
            image: "x".to_owned(),
            cmd: Some(vec!["sh".to_owned(), "-c".to_owned()]),
            env: vec!["A=1".to_owned(), "B=2".to_owned()],
            user: "me".to_owned(),
            ..ContainerOptions::default()
        };
        config_of(&options, "0123456789ab")
    }

    #[test]
    fn the_containers_configuration_is_the_images() {
        let config = own();
        assert_eq!(config.cmd.unwrap(), ["sh", "-c"]);
        assert_eq!(config.extra["Hostname"], "0123456789ab");
        assert_eq!(config.volumes, None);
    }

    #[test]
    fn what_the_user_gives_wins_and_the_rest_is_filled() {
        let mut config = ContainerConfig {
            env: Some(vec!["A=3".to_owned()]),
            entrypoint: Some(vec!["run".to_owned()]),
            ..ContainerConfig::default()
        };
        fill(&mut config, own());
        assert_eq!(config.env.unwrap(), ["A=3", "B=2"]);
        assert_eq!((config.entrypoint.unwrap().len(), config.cmd), (1, None));
        assert_eq!(config.user, "me");
    }
}
