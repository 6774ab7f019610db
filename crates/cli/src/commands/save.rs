//! `save`: images into an archive.

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

use api::client::Request;

use crate::command::{Args, Command, Flag, Order, Takes};
use crate::context::Context;
use crate::failure::{Exit, Failure, Outcome, errno_text};
use crate::flags::Matches;

/// The row of the table.
pub(super) static COMMAND: Command = Command {
    paths: &["image save", "save"],
    about: "Write images into a tar archive (to stdout unless a file is named)",
    usage: "[OPTIONS] IMAGE [IMAGE...]",
    args: Args::AtLeast(1),
    order: Order::Anywhere,
    flags: &[&[
        Flag::text("output", Some('o'), "The file to write"),
        Flag::not_built("platform", None, Takes::Value),
    ]],
    run,
};

fn run(context: &Context, matches: &Matches) -> Outcome {
    let output = matches.text("output").filter(|output| !output.is_empty()).map(PathBuf::from);
    match &output {
        None if io::stdout().is_terminal() => {
            return Err(Failure::new(
                "failed to save image: cowardly refusing to save to a terminal. Use the -o flag or redirect",
            ));
        }
        None => {}
        Some(path) => check_output(path)?,
    }
    let request =
        matches.args.iter().fold(Request::get("/images/get"), |request, image| request.query("names", image));
    context.talk(async |client| {
        let body = client.send(request).await?.body;
        match &output {
            Some(path) => {
                let mut file = Beside::create(path)?;
                body.copy_to(&mut file.file).await?;
                file.finish(path)?;
            }
            None => drop(body.copy_to(&mut io::stdout().lock()).await?),
        }
        Ok(Exit::OK)
    })
}

/// Before anything is asked of the daemon.
fn check_output(path: &Path) -> Result<(), Failure> {
    let refused = |reason: String| Failure::new(format!("failed to save image: invalid output path: {reason}"));
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let told = |error: &io::Error| refused(format!("stat {}: {}", folder.display(), errno_text(error)));
    let metadata = std::fs::metadata(folder).map_err(|error| told(&error))?;
    if !metadata.is_dir() {
        return Err(refused(format!("{:?} must be a directory", folder.display().to_string())));
    }
    if path.is_dir() {
        return Err(refused(format!("{:?} must be a regular file", path.display().to_string())));
    }
    Ok(())
}

/// A file that takes its name only when it is whole; until then it stands beside it.
struct Beside {
    file: File,
    path: PathBuf,
}

impl Beside {
    fn create(target: &Path) -> Result<Self, Failure> {
        use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
        // A device or a pipe takes the bytes themselves.
        let is_special = std::fs::metadata(target)
            .is_ok_and(|found| found.file_type().is_char_device() || found.file_type().is_fifo());
        let mut options = File::options();
        options.write(true);
        let path = if is_special {
            target.to_owned()
        } else {
            options.create_new(true).mode(0o600);
            let name = target.file_name().unwrap_or_default().to_string_lossy();
            target.with_file_name(format!(".tmp-{name}{}", std::process::id()))
        };
        let file = options.open(&path).map_err(|error| opening(&path, &error))?;
        Ok(Self { file, path })
    }

    fn finish(mut self, target: &Path) -> Result<(), Failure> {
        self.file.flush()?;
        if self.path != target {
            std::fs::rename(&self.path, target).map_err(|error| opening(target, &error))?;
            self.path = target.to_owned();
        }
        Ok(())
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        let is_unfinished = self.path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(".tmp-"));
        if is_unfinished {
            // The failure that led here is the one to tell.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn opening(path: &Path, error: &io::Error) -> Failure {
    Failure::new(format!("open {}: {}", path.display(), errno_text(error)))
}
