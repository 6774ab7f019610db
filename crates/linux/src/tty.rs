//! Terminals: pairs, sizes, raw mode.

use std::os::fd::{AsFd, OwnedFd};

use rustix::pty::OpenptFlags;
use rustix::termios::{OptionalActions, OutputModes, Termios, Winsize};

use crate::Result;
use crate::error::Context as _;

/// Rows and columns in characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    pub rows: u16,
    pub columns: u16,
}

/// A new pseudo-terminal of the caller's own devpts: master and slave.
pub fn open_pair() -> Result<(OwnedFd, OwnedFd)> {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let master = rustix::pty::openpt(flags).context(|| "open(\"/dev/ptmx\")")?;
    let slave = unlock_and_open_slave(&master)?;
    Ok((master, slave))
}

/// The slave of a master, without any path: right in whatever mount namespace the caller is.
pub fn unlock_and_open_slave(master: impl AsFd) -> Result<OwnedFd> {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    rustix::pty::unlockpt(&master).context(|| "ioctl(TIOCSPTLCK)")?;
    rustix::pty::ioctl_tiocgptpeer(&master, flags).context(|| "ioctl(TIOCGPTPEER)")
}

/// The number of a master's slave: `/dev/pts/N`.
pub fn slave_number(master: impl AsFd) -> Result<u32> {
    let name = rustix::pty::ptsname(master, Vec::new()).context(|| "ioctl(TIOCGPTN)")?;
    let number = name
        .to_str()
        .ok()
        .and_then(|name| name.rsplit('/').next()?.parse().ok());
    number
        .ok_or(crate::Errno::NOTTY)
        .context(|| "ioctl(TIOCGPTN)")
}

/// Makes a terminal the controlling one of the calling session leader.
pub fn set_controlling(terminal: impl AsFd) -> Result<()> {
    rustix::process::ioctl_tiocsctty(terminal).context(|| "ioctl(TIOCSCTTY)")
}

#[must_use]
pub fn is_terminal(fd: impl AsFd) -> bool {
    rustix::termios::isatty(fd)
}

pub fn size(terminal: impl AsFd) -> Result<Size> {
    let size = rustix::termios::tcgetwinsize(terminal).context(|| "ioctl(TIOCGWINSZ)")?;
    Ok(Size {
        rows: size.ws_row,
        columns: size.ws_col,
    })
}

pub fn set_size(terminal: impl AsFd, size: Size) -> Result<()> {
    let size = Winsize {
        ws_row: size.rows,
        ws_col: size.columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    rustix::termios::tcsetwinsize(terminal, size).context(|| "ioctl(TIOCSWINSZ)")
}

/// A terminal's settings, to put back later.
#[derive(Clone, Debug)]
pub struct Settings(Termios);

/// Switches to raw mode (no echo, no lines, no signals from keys) and returns the settings before.
pub fn make_raw(terminal: impl AsFd) -> Result<Settings> {
    let before = rustix::termios::tcgetattr(&terminal).context(|| "ioctl(TCGETS)")?;
    let mut raw = before.clone();
    raw.make_raw();
    rustix::termios::tcsetattr(&terminal, OptionalActions::Now, &raw)
        .context(|| "ioctl(TCSETS)")?;
    Ok(Settings(before))
}

pub fn restore(terminal: impl AsFd, settings: &Settings) -> Result<()> {
    rustix::termios::tcsetattr(terminal, OptionalActions::Now, &settings.0)
        .context(|| "ioctl(TCSETS)")
}

/// Stops the terminal from turning `\n` into `\r\n`: the far end is a terminal of its own that does.
pub fn disable_newline_translation(terminal: impl AsFd) -> Result<()> {
    let mut settings = rustix::termios::tcgetattr(&terminal).context(|| "ioctl(TCGETS)")?;
    settings.output_modes.remove(OutputModes::ONLCR);
    rustix::termios::tcsetattr(terminal, OptionalActions::Now, &settings)
        .context(|| "ioctl(TCSETS)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_has_a_size_and_modes() {
        let (master, slave) = open_pair().unwrap();
        set_size(
            &master,
            Size {
                rows: 24,
                columns: 80,
            },
        )
        .unwrap();
        assert_eq!(
            size(&slave).unwrap(),
            Size {
                rows: 24,
                columns: 80
            }
        );
        assert!(is_terminal(&slave));
        let before = make_raw(&slave).unwrap();
        restore(&slave, &before).unwrap();
    }
}
