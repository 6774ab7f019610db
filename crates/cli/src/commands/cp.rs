//! `cp`: copy files between a container and the local filesystem.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use api::client::{Client, Request, UploadBody};
use api::types::container::PathStat;
use base64::Engine as _;
use rustix::stdio::{stderr, stdout};
use rustix::termios::isatty;

use super::each::path as endpoint;
use crate::command::{Args, Command, Flag, Order};
use crate::context::Context;
use crate::copy::pack::{Source, pack};
use crate::copy::paths::{self, End, Kind, land};
use crate::copy::pipes::{read_body, written};
use crate::copy::unpack::{Options, Owner, unpack};
use crate::failure::{Exit, Failure, Outcome, errno_text};
use crate::flags::Matches;
use crate::streams::write_all;

static FLAGS: &[Flag] = &[
    Flag::bool("archive", Some('a'), "Keep who owns the files"),
    Flag::bool(
        "follow-link",
        Some('L'),
        "Copy what a link points to, if the source is one",
    ),
    Flag::bool("quiet", Some('q'), "Say nothing when it went well"),
];

/// The row of the table.
pub(super) static COMMAND: Command = Command {
    paths: &["container cp", "cp"],
    about: "Copy files between a container and the local filesystem",
    usage: "[OPTIONS] CONTAINER:SRC_PATH DEST_PATH|-\n[OPTIONS] SRC_PATH|- CONTAINER:DEST_PATH",
    args: Args::Exactly(2),
    order: Order::Anywhere,
    flags: &[FLAGS],
    run,
};

/// What the flags ask for.
#[derive(Debug, Clone, Copy)]
struct How {
    keep_owners: bool,
    follow: bool,
    quiet: bool,
}

/// The end of a copy that is in a container.
#[derive(Debug, Clone, Copy)]
struct InContainer<'a> {
    container: &'a str,
    path: &'a str,
}

fn run(context: &Context, matches: &Matches) -> Outcome {
    let how = How {
        keep_owners: matches.flag("archive"),
        follow: matches.flag("follow-link"),
        quiet: matches.flag("quiet"),
    };
    let (source, destination) = (matches.args[0].as_str(), matches.args[1].as_str());
    if source.is_empty() {
        return Err(Failure::new("source can not be empty"));
    }
    if destination.is_empty() {
        return Err(Failure::new("destination can not be empty"));
    }
    match (in_container(source), in_container(destination)) {
        (Some(_), Some(_)) => Err(Failure::new("copying between containers is not supported")),
        (None, None) => Err(Failure::new("must specify at least one container source")),
        (Some(source), None) => {
            context.talk(async |client| copy_out(client, source, destination, how).await)
        }
        (None, Some(destination)) => {
            context.talk(async |client| copy_in(client, source, destination, how).await)
        }
    }
}

/// `CONTAINER:PATH`; an absolute path, and one that begins with a dot, is local whatever follows.
fn in_container(text: &str) -> Option<InContainer<'_>> {
    let (container, path) = text.split_once(':')?;
    let local = text.starts_with('/') || container.starts_with('.');
    (!local && !container.is_empty()).then_some(InContainer { container, path })
}

async fn copy_out(
    client: &Client,
    source: InContainer<'_>,
    destination: &str,
    how: How,
) -> Outcome {
    let local = (destination != "-")
        .then(|| local_path(destination))
        .transpose()?;
    if let Some(local) = &local {
        check_local_parent(local)?;
    }
    let (asked, rebase) = if how.follow {
        followed(client, source).await?
    } else {
        (source.path.to_owned(), None)
    };
    let response = client
        .send(archive_request(source.container, &asked)?)
        .await?;
    let stat = read_stat(
        response
            .headers
            .get(STAT_HEADER)
            .and_then(|value| value.to_str().ok()),
    )?;
    let Some(local) = local else {
        let mut body = response.body;
        while let Some(piece) = body.next().await? {
            write_all(stdout(), &piece)?;
        }
        return Ok(Exit::OK);
    };
    let landing = land(
        &End {
            path: asked.clone(),
            kind: kind_of(&stat),
        },
        &local_end(&local)?,
    )
    .map_err(|error| Failure::new(error.to_string()))?;
    let top = paths::split(&asked).1;
    let options = Options {
        folder: PathBuf::from(&landing.folder),
        rename: landing.rename.or(rebase).map(|name| (top, name)),
        owner: if how.keep_owners {
            Owner::Archive
        } else {
            Owner::Caller
        },
    };
    let size = read_body(response.body, move |archive| unpack(archive, &options)).await?;
    tell(how, size, destination);
    Ok(Exit::OK)
}

/// The source that a link points to, and the name its copy takes if that differs.
async fn followed(
    client: &Client,
    source: InContainer<'_>,
) -> Result<(String, Option<String>), Failure> {
    let unfollowed = (source.path.to_owned(), None);
    let Ok(stat) = stat(client, source.container, source.path).await else {
        // Asking for the archive tells why.
        return Ok(unfollowed);
    };
    if stat.mode & GO_SYMLINK == 0 {
        return Ok(unfollowed);
    }
    let target = paths::like(
        &paths::resolve_link(source.path, &stat.link_target),
        source.path,
    );
    let (name, target_name) = (paths::base(source.path), paths::base(&target));
    let rebase = (name != target_name).then(|| name.to_owned());
    Ok((target, rebase))
}

async fn copy_in(client: &Client, source: &str, destination: InContainer<'_>, how: How) -> Outcome {
    let end = container_end(client, destination).await?;
    if source == "-" {
        if end.kind != Kind::Folder {
            let InContainer { container, path } = destination;
            return Err(Failure::new(format!(
                "destination \"{container}:{path}\" must be a directory"
            )));
        }
        let upload = UploadBody::from_reader(io::stdin());
        put(client, destination.container, &end.path, upload, how).await?;
        return Ok(Exit::OK);
    }
    let (path, name) = local_source(source, how.follow)?;
    let kind = kind_of_local(&path)?;
    let landing = land(
        &End {
            path: paths::like(&path, source),
            kind,
        },
        &end,
    )
    .map_err(|error| Failure::new(error.to_string()))?;
    let source = Source {
        path: PathBuf::from(path),
        name: PathBuf::from(landing.rename.unwrap_or(name)),
    };
    let size = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
    let counted = size.clone();
    let pieces = written(move |out| pack(&source, Counted { out, size: counted }));
    put(
        client,
        destination.container,
        &landing.folder,
        UploadBody::from_channel(pieces),
        how,
    )
    .await?;
    tell(
        how,
        size.load(std::sync::atomic::Ordering::Relaxed),
        &format!("{}:{}", destination.container, destination.path),
    );
    Ok(Exit::OK)
}

async fn put(
    client: &Client,
    container: &str,
    folder: &str,
    upload: UploadBody,
    how: How,
) -> Result<(), Failure> {
    let request = Request::put(endpoint(container, "archive")?)
        .query("path", folder)
        .query("noOverwriteDirNonDir", "true")
        .query_flag("copyUIDGID", how.keep_owners)
        .upload(upload);
    client.call(request).await?;
    Ok(())
}

/// The destination in the container, a link followed once; what cannot be asked about is taken for missing, and the upload tells.
async fn container_end(client: &Client, destination: InContainer<'_>) -> Result<End, Failure> {
    let InContainer { container, path } = destination;
    let mut path = path.to_owned();
    let mut found = stat(client, container, &path).await;
    if let Some(link) = found
        .as_ref()
        .ok()
        .filter(|stat| stat.mode & GO_SYMLINK != 0)
    {
        path = paths::resolve_link(&path, &link.link_target);
        found = stat(client, container, &path).await;
    }
    let kind = match found {
        Ok(stat) => {
            check_destination_mode(&stat, destination)?;
            kind_of(&stat)
        }
        Err(failure) if failure.message.contains("No such container") => return Err(failure),
        Err(_) => Kind::Missing,
    };
    Ok(End { path, kind })
}

fn check_destination_mode(stat: &PathStat, destination: InContainer<'_>) -> Result<(), Failure> {
    let got = match stat.mode {
        mode if mode & GO_DEVICE != 0 => "got a device",
        mode if mode & GO_IRREGULAR != 0 => "got an irregular file",
        _ => return Ok(()),
    };
    let InContainer { container, path } = destination;
    Err(Failure::new(format!(
        "destination \"{container}:{path}\" must be a directory or a regular file: {got}"
    )))
}

const STAT_HEADER: &str = "x-docker-container-path-stat";
// Bits of Go's os.FileMode.
const GO_FOLDER: u32 = 1 << 31;
const GO_SYMLINK: u32 = 1 << 27;
const GO_DEVICE: u32 = 1 << 26;
const GO_IRREGULAR: u32 = 1 << 19;

fn archive_request(container: &str, path: &str) -> Result<Request, Failure> {
    Ok(Request::get(endpoint(container, "archive")?).query("path", path))
}

async fn stat(client: &Client, container: &str, path: &str) -> Result<PathStat, Failure> {
    let request = Request::head(endpoint(container, "archive")?).query("path", path);
    let response = client.send(request).await?;
    read_stat(
        response
            .headers
            .get(STAT_HEADER)
            .and_then(|value| value.to_str().ok()),
    )
}

fn read_stat(header: Option<&str>) -> Result<PathStat, Failure> {
    let document = header.and_then(|header| {
        base64::engine::general_purpose::STANDARD
            .decode(header)
            .ok()
    });
    let stat = document.and_then(|document| serde_json::from_slice(&document).ok());
    stat.ok_or_else(|| Failure::new("unable to decode container path stat header"))
}

fn kind_of(stat: &PathStat) -> Kind {
    if stat.mode & GO_FOLDER != 0 {
        Kind::Folder
    } else {
        Kind::File
    }
}

fn local_path(path: &str) -> Result<String, Failure> {
    let current = std::env::current_dir()
        .map_err(|error| Failure::new(format!("getwd: {}", errno_text(&error))))?;
    Ok(paths::absolute(path, &current))
}

fn check_local_parent(path: &str) -> Result<(), Failure> {
    let parent = paths::split(&paths::clean(path)).0;
    match fs::metadata(&parent) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(Failure::new(format!(
            "invalid output path: directory {parent:?} does not exist"
        ))),
        _ => Ok(()),
    }
}

/// The local destination, links followed.
fn local_end(path: &str) -> Result<End, Failure> {
    let kind = match fs::metadata(path) {
        Ok(found) if found.is_dir() => Kind::Folder,
        Ok(_) => Kind::File,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Kind::Missing,
        Err(error) => return Err(Failure::new(format!("stat {path}: {}", errno_text(&error)))),
    };
    let path = match fs::canonicalize(path) {
        Ok(real) if kind == Kind::File => real.to_string_lossy().into_owned(),
        _ => path.to_owned(),
    };
    Ok(End { path, kind })
}

/// The local source with the links on the way to it resolved (and itself, if it is to be followed), and its name in the archive.
fn local_source(source: &str, follow: bool) -> Result<(String, String), Failure> {
    let asked = local_path(source)?;
    let (folder, name) = paths::split(&asked);
    let told = |error: io::Error| {
        if error.kind() == io::ErrorKind::NotADirectory {
            return Failure::new("not a directory");
        }
        Failure::new(format!(
            "lstat {}: {}",
            asked.trim_end_matches("/."),
            errno_text(&error)
        ))
    };
    // A trailing slash asks for what is behind a link, as it does everywhere.
    let resolve_all = follow || name == "." || asked.ends_with('/');
    let resolved = if resolve_all {
        fs::canonicalize(&asked).map_err(told)?
    } else {
        fs::canonicalize(&folder)
            .map_err(told)?
            .join(name.trim_start_matches('/'))
    };
    fs::symlink_metadata(&resolved).map_err(told)?;
    if asked.ends_with('/') && !fs::metadata(&resolved).map_err(told)?.is_dir() {
        return Err(Failure::new("not a directory"));
    }
    Ok((resolved.to_string_lossy().into_owned(), name))
}

fn kind_of_local(path: &str) -> Result<Kind, Failure> {
    let found = fs::symlink_metadata(Path::new(path))
        .map_err(|error| Failure::new(format!("lstat {path}: {}", errno_text(&error))))?;
    Ok(if found.is_dir() {
        Kind::Folder
    } else {
        Kind::File
    })
}

/// Counts what goes through.
struct Counted<W> {
    out: W,
    size: std::sync::Arc<std::sync::atomic::AtomicU64>,
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.out.write(bytes)?;
        self.size
            .fetch_add(count as u64, std::sync::atomic::Ordering::Relaxed);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// People at a terminal are told how it went, as Docker tells them.
#[expect(clippy::cast_precision_loss, reason = "four digits are shown")]
fn tell(how: How, size: u64, destination: &str) {
    if !how.quiet && isatty(stderr()) {
        eprintln!(
            "Successfully copied {} to {destination}",
            crate::format::units::human_size(size as f64)
        );
    }
}
