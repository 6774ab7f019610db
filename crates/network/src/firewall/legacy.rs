//! The chains that `iptables-legacy` makes. nftables does not know of them; the kernel gives them out as whole tables, by options of raw
//! sockets (linux/netfilter_ipv4/ip_tables.h).

use std::fs;

use linux::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, ipproto};

use crate::error::Doing as _;
use crate::netlink::u32_at;
use crate::{Error, Result};

/// The same numbers for both families.
const GET_INFO: i32 = 64;
const GET_ENTRIES: i32 = 65;
/// A table of more than this is not read; nobody has one.
const LARGEST: usize = 16 << 20;

/// Where one family has what.
struct Family {
    names: &'static str,
    domain: AddressFamily,
    level: i32,
    text: &'static str,
    /// Of an entry, the offset of its target's offset.
    target: usize,
}

const FAMILIES: [Family; 2] = [
    Family {
        names: "/proc/thread-self/net/ip_tables_names",
        domain: AddressFamily::INET,
        level: 0,
        text: "iptables-legacy",
        target: 88,
    },
    Family {
        names: "/proc/thread-self/net/ip6_tables_names",
        domain: AddressFamily::INET6,
        level: 41,
        text: "ip6tables-legacy",
        target: 140,
    },
];

/// Chains FORWARD whose policy is to drop, each as a sentence. Asking for a table that is not there would make it, so the kernel's list of
/// tables comes first.
pub(super) fn obstacles() -> Result<Vec<String>> {
    let mut found = Vec::new();
    for family in &FAMILIES {
        let names = fs::read_to_string(family.names).unwrap_or_default();
        if names.lines().any(|name| name == "filter") && family.drops()? {
            found.push(format!(
                "the chain FORWARD of {} drops what is forwarded, unless it has a rule that accepts it: containers may not reach other hosts, nor be reached",
                family.text
            ));
        }
    }
    Ok(found)
}

impl Family {
    fn drops(&self) -> Result<bool> {
        let doing = || format!("failed to read the tables of {}", self.text);
        let socket = rustix::net::socket_with(
            self.domain,
            SocketType::RAW,
            SocketFlags::CLOEXEC,
            Some(ipproto::RAW),
        );
        let socket = socket
            .map_err(|errno| linux::Error::new("socket(SOCK_RAW)", errno))
            .doing(doing)?;
        let ask = |name, buffer: &mut [u8]| {
            linux::socket::ask_option(&socket, self.level, name, buffer).doing(doing)
        };
        // Somebody may replace the table between the two questions; then its size is another one (EAGAIN).
        for _ in 0..10 {
            let mut info = [0; INFO];
            info[..6].copy_from_slice(b"filter");
            ask(GET_INFO, &mut info)?;
            let Some((policy, size)) = policy_and_size(&info) else {
                break;
            };
            let mut table = vec![0; HEADER + size];
            table[..6].copy_from_slice(b"filter");
            table[32..36].copy_from_slice(&u32::try_from(size).unwrap_or(0).to_ne_bytes());
            match ask(GET_ENTRIES, &mut table) {
                Err(error) if error.errno() == Some(Errno::AGAIN) => {}
                result => return result.map(|_| drops_at(&table[HEADER..], policy, self.target)),
            }
        }
        Err(Error::Malformed(
            "a table of iptables-legacy makes no sense",
        ))
    }
}

/// `struct ipt_getinfo`: the name, which hooks there are, where each begins and has its policy, how many entries, and their size.
const INFO: usize = 84;
/// Of `struct ipt_get_entries`, before the entries.
const HEADER: usize = 40;

/// Where the policy of FORWARD is, and the size of all entries.
fn policy_and_size(info: &[u8; INFO]) -> Option<(usize, usize)> {
    const UNDERFLOW: usize = 56;
    const FORWARD: usize = 2;
    let policy = u32_at(info, UNDERFLOW + 4 * FORWARD)? as usize;
    let size = u32_at(info, 80)? as usize;
    (policy < size && size <= LARGEST).then_some((policy, size))
}

/// Whether the entry at this place has the verdict to drop, behind its target's header.
fn drops_at(entries: &[u8], at: usize, target: usize) -> bool {
    const TARGET_HEADER: usize = 32;
    /// `-NF_DROP - 1`.
    const DROP: u32 = u32::MAX;
    let Some(entry) = entries.get(at..) else {
        return false;
    };
    let offset = crate::netlink::u16_at(entry, target).map_or(0, usize::from);
    u32_at(entry, offset + TARGET_HEADER) == Some(DROP)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_is_found_in_what_the_kernel_says() {
        let mut info = [0; INFO];
        info[64..68].copy_from_slice(&152u32.to_ne_bytes());
        info[80..84].copy_from_slice(&304u32.to_ne_bytes());
        assert_eq!(policy_and_size(&info), Some((152, 304)));
        info[80..84].copy_from_slice(&152u32.to_ne_bytes());
        assert_eq!(policy_and_size(&info), None);
        let mut entries = vec![0; 304];
        entries[152 + 88..152 + 90].copy_from_slice(&112u16.to_ne_bytes());
        entries[152 + 144..152 + 148].copy_from_slice(&(-1i32).to_ne_bytes());
        assert!(drops_at(&entries, 152, 88));
        assert!(!drops_at(&entries, 0, 88));
        assert!(!drops_at(&entries[..200], 152, 88));
        assert!(!drops_at(&entries, 4000, 88));
    }
}
