//! From `args`, `env` and `cwd` to an execve, inside the container, with the words that Docker's users know.

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use linux::file::{self, OFlags};
use linux::process::{self as kernel, Program};
use linux::{Errno, errno_text};

use crate::error::Context as _;
use crate::{Error, Kind, Result};

/// A program that was found and may be executed.
pub(crate) struct Found {
    path: PathBuf,
    program: Program,
}

impl Found {
    /// Looks for `args[0]` as Go's `exec.LookPath` does, in the PATH of `env`.
    pub(crate) fn look_up(args: &[String], env: &[String], uid: u32) -> Result<Self> {
        let path = find(&args[0], env)?;
        let env = with_home(env, uid);
        let program = Program::new(args, &env).context(|| format!("exec: {:?}", args[0]))?;
        Ok(Self { path, program })
    }

    /// Becomes the program. It was found and may be executed: what the kernel refuses now (an interpreter that is not
    /// there, a file of no known format) is the program's own failure, told on its stderr, and not a failure to start. So
    /// does runc, and users of Docker know the text and the code 255.
    pub(crate) fn exec(&self) -> Error {
        let Ok(path) = CString::new(self.path.as_os_str().as_bytes()) else {
            return Error::invalid("NUL in the program's path");
        };
        let errno = self.program.exec(&path);
        let text = format!("exec {}: {}\n", self.path.display(), errno_text(errno));
        // Nobody may be listening.
        let _told = file::write_all(std::io::stderr(), text.as_bytes());
        kernel::exit_now(255)
    }
}

fn find(name: &str, env: &[String]) -> Result<PathBuf> {
    if name.contains('/') {
        return executable(Path::new(name))
            .map(|()| PathBuf::from(name))
            .map_err(|errno| refusal(name, errno));
    }
    // The last assignment counts, as in a shell.
    let path = env
        .iter()
        .rev()
        .find_map(|pair| pair.strip_prefix("PATH="))
        .unwrap_or_default();
    let candidates = path
        .split(':')
        .filter(|dir| !dir.is_empty() && !name.is_empty())
        .map(|dir| Path::new(dir).join(name));
    let missing = || {
        Error::new(
            Kind::NotFound,
            format!("exec: {name:?}: executable file not found in $PATH"),
        )
    };
    candidates
        .into_iter()
        .find(|path| executable(path).is_ok())
        .ok_or_else(missing)
}

fn executable(path: &Path) -> std::result::Result<(), Errno> {
    let stat = file::stat_following(path).map_err(|error| error.errno())?;
    if file::is_dir(&stat) {
        return Err(Errno::ISDIR);
    }
    file::may_execute(path).map_err(|error| error.errno())
}

fn refusal(name: &str, errno: Errno) -> Error {
    let text = errno_text(errno);
    match errno {
        Errno::NOENT | Errno::NOTDIR => Error::new(
            Kind::NotFound,
            format!("exec: {name:?}: stat {name}: {text}"),
        ),
        Errno::ACCESS => Error::new(Kind::PermissionDenied, format!("exec: {name:?}: {text}")),
        // EISDIR is our own finding; for execve(2) it is EACCES.
        Errno::ISDIR => Error::new(
            Kind::PermissionDenied,
            format!("exec: {name:?}: {text}: permission denied"),
        ),
        _ => Error::new(Kind::System, format!("exec: {name:?}: {text}")),
    }
}

/// A program without HOME gets the one that the container's own /etc/passwd has for the user.
fn with_home(env: &[String], uid: u32) -> Vec<String> {
    let mut env = env.to_vec();
    if !env.iter().any(|pair| pair.starts_with("HOME=")) {
        env.push(format!(
            "HOME={}",
            home(uid).unwrap_or_else(|| "/".to_owned())
        ));
    }
    env
}

fn home(uid: u32) -> Option<String> {
    const LIMIT: u64 = 8 << 20;
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
    let fd = file::open(Path::new("/etc/passwd"), flags).ok()?;
    if !file::is_regular(&file::stat(&fd).ok()?) {
        return None;
    }
    let text = file::read_all(fd, LIMIT).ok()?;
    home_in(&String::from_utf8_lossy(&text), uid)
}

fn home_in(passwd: &str, uid: u32) -> Option<String> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':').skip(2);
        let found = fields.next()?.parse() == Ok(uid);
        let home = fields.nth(2)?;
        (found && !home.is_empty()).then(|| home.to_owned())
    })
}

/// Into `cwd` of the specification.
pub(crate) fn enter_folder(cwd: &Path) -> Result<()> {
    kernel::chdir(cwd).map_err(|error| {
        let text = errno_text(error.errno());
        Error::new(
            Kind::System,
            format!(
                "chdir to cwd ({:?}) set in config.json failed: {text}",
                cwd.display()
            ),
        )
    })
}

/// A folder outside of the root, reached by a descriptor that somebody leaked, has no path (CVE-2024-21626).
pub(crate) fn check_folder() -> Result<()> {
    let escaped = "current working directory is outside of container mount namespace root -- possible container \
                   breakout detected";
    match kernel::current_dir() {
        Ok(path) if path.is_absolute() => Ok(()),
        Err(error) if error.errno() != Errno::NOENT => {
            Err(error).context(|| "failed to verify the cwd")
        }
        _ => Err(Error::invalid(escaped)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(name: &str, path: &str) -> (Kind, String) {
        let error = find(name, &[format!("PATH={path}")]).unwrap_err();
        (error.kind(), error.to_string())
    }

    #[test]
    fn words_as_docker_has_them() {
        assert_eq!(
            message("nope", "/bin"),
            (
                Kind::NotFound,
                r#"exec: "nope": executable file not found in $PATH"#.to_owned()
            )
        );
        assert_eq!(
            message("/nope", "/bin"),
            (
                Kind::NotFound,
                r#"exec: "/nope": stat /nope: no such file or directory"#.to_owned()
            )
        );
        assert_eq!(
            message("/bin", ""),
            (
                Kind::PermissionDenied,
                r#"exec: "/bin": is a directory: permission denied"#.to_owned()
            )
        );
        assert_eq!(
            message("/etc/passwd", ""),
            (
                Kind::PermissionDenied,
                r#"exec: "/etc/passwd": permission denied"#.to_owned()
            )
        );
        assert_eq!(message("", "/bin").0, Kind::NotFound);
    }

    #[test]
    fn found_in_path() {
        let env = ["PATH=/nope:/bin".to_owned()];
        assert_eq!(find("sh", &env).unwrap(), Path::new("/bin/sh"));
    }

    #[test]
    fn homes() {
        let passwd =
            "root:x:0:0:root:/root:/bin/sh\nbroken\nweb:x:33:33::/var/www:\nnone:x:5:5:::\n";
        assert_eq!(home_in(passwd, 33).as_deref(), Some("/var/www"));
        assert_eq!(home_in(passwd, 5), None);
        assert_eq!(home_in(passwd, 77), None);
    }
}
