//! `capabilities(7)` of the calling thread, as plain bit masks: bit n is capability n.

use std::os::raw::c_ulong;

use crate::error::{Context as _, check};
use crate::{Errno, Result};

/// Names by number, without `CAP_`, of `linux/capability.h` (Linux 5.9 added the last).
pub const NAMES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

/// The bit of a capability by name, with or without `CAP_`; case does not matter.
#[must_use]
pub fn bit(name: &str) -> Option<u64> {
    let upper = name.to_ascii_uppercase();
    let name = upper.strip_prefix("CAP_").unwrap_or(&upper);
    NAMES
        .iter()
        .position(|known| *known == name)
        .map(|number| 1 << number)
}

/// The sets of a thread that `capset(2)` sets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sets {
    pub effective: u64,
    pub permitted: u64,
    pub inheritable: u64,
}

#[repr(C)]
struct Header {
    version: u32,
    pid: i32,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Data {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

const VERSION_3: u32 = 0x2008_0522;

/// The calling thread's sets.
pub fn get() -> Result<Sets> {
    let header = Header {
        version: VERSION_3,
        pid: 0,
    };
    let mut data = [Data::default(); 2];
    // SAFETY: version 3 reads the header and writes two data structures; both outlive the call.
    check(unsafe { libc::syscall(libc::SYS_capget, &raw const header, data.as_mut_ptr()) })
        .context(|| "capget()")?;
    let join = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
    Ok(Sets {
        effective: join(data[0].effective, data[1].effective),
        permitted: join(data[0].permitted, data[1].permitted),
        inheritable: join(data[0].inheritable, data[1].inheritable),
    })
}

/// Replaces the calling thread's sets.
pub fn set(sets: Sets) -> Result<()> {
    let header = Header {
        version: VERSION_3,
        pid: 0,
    };
    let half = |shift: u32| Data {
        effective: (sets.effective >> shift) as u32,
        permitted: (sets.permitted >> shift) as u32,
        inheritable: (sets.inheritable >> shift) as u32,
    };
    let data = [half(0), half(32)];
    // SAFETY: version 3 reads the header and two data structures; both outlive the call.
    check(unsafe { libc::syscall(libc::SYS_capset, &raw const header, data.as_ptr()) })
        .map(drop)
        .context(|| format!("capset({sets:x?})"))
}

/// Drops everything but `keep` from the bounding set: what no execve can give back.
pub fn limit_bounding(keep: u64) -> Result<()> {
    for number in 0..64u32 {
        if keep & 1 << number != 0 {
            continue;
        }
        // SAFETY: PR_CAPBSET_DROP takes a number.
        match check(unsafe { libc::prctl(libc::PR_CAPBSET_DROP, c_ulong::from(number), 0, 0, 0) }) {
            Ok(_) => {}
            // The first number the kernel does not know ends the list.
            Err(Errno::INVAL) => return Ok(()),
            Err(errno) => {
                return Err(errno).context(|| format!("prctl(PR_CAPBSET_DROP, {number})"));
            }
        }
    }
    Ok(())
}

/// The capabilities in the calling thread's bounding set, up to the last the kernel knows.
#[must_use]
pub fn bounding() -> u64 {
    let mut set = 0;
    for number in 0..64u32 {
        // SAFETY: PR_CAPBSET_READ takes a number.
        match unsafe { libc::prctl(libc::PR_CAPBSET_READ, c_ulong::from(number), 0, 0, 0) } {
            1 => set |= 1 << number,
            0 => {}
            _ => break,
        }
    }
    set
}

/// Clears the ambient set, then raises each capability of `set`. EPERM for one that is not both permitted and
/// inheritable.
pub fn set_ambient(set: u64) -> Result<()> {
    let ambient = |operation: i32, number: u32| {
        // SAFETY: PR_CAP_AMBIENT takes numbers.
        let code = unsafe {
            libc::prctl(
                libc::PR_CAP_AMBIENT,
                operation as c_ulong,
                c_ulong::from(number),
                0 as c_ulong,
                0 as c_ulong,
            )
        };
        check(code).map(drop)
    };
    ambient(libc::PR_CAP_AMBIENT_CLEAR_ALL, 0).context(|| "prctl(PR_CAP_AMBIENT_CLEAR_ALL)")?;
    for number in (0..64).filter(|number| set & 1 << number != 0) {
        ambient(libc::PR_CAP_AMBIENT_RAISE, number)
            .context(|| format!("prctl(PR_CAP_AMBIENT_RAISE, {number})"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_any_form() {
        assert_eq!(bit("CAP_CHOWN"), Some(1));
        assert_eq!(bit("sys_admin"), Some(1 << 21));
        assert_eq!(bit("CAP_CHECKPOINT_RESTORE"), Some(1 << 40));
        assert_eq!(bit("CAP_NOPE"), None);
    }

    #[test]
    fn what_is_read_can_be_set() {
        set(get().unwrap()).unwrap();
    }
}
