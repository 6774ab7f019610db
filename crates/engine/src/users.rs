//! Who a container's process runs as: `--user` and `--group-add` against the rootfs' own passwd and group files.
//!
//! Pure text in, numbers out; finding the two files inside the image is the caller's. Lines that do not parse are passed
//! over, as libc does.

use crate::error::{Error, Result};

/// The ids of a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// The gid itself (else a process could shed it: CVE-2022-36109), groups that list the user, then those asked for.
    pub(crate) additional_gids: Vec<u32>,
    /// `None`: no entry in passwd.
    pub(crate) home: Option<String>,
}

struct Account<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
    home: &'a str,
}

struct Group<'a> {
    name: &'a str,
    gid: u32,
    members: &'a str,
}

/// Resolves `user` (`""`, `name`, `uid`, either with `:group` or `:gid`) and the groups added.
pub(crate) fn resolve(user: &str, added: &[String], passwd: &str, group: &str) -> Result<Identity> {
    let (user, wanted_group) = user.split_once(':').unwrap_or((user, ""));
    let mut identity = account(user, passwd, group)?;
    let mut gids = std::mem::take(&mut identity.additional_gids);
    if !wanted_group.is_empty() {
        identity.gid = gid(wanted_group, group)?;
        gids.clear();
    }
    for name in added {
        gids.push(gid(name, group)?);
    }
    for gid in std::iter::once(identity.gid).chain(gids) {
        if !identity.additional_gids.contains(&gid) {
            identity.additional_gids.push(gid);
        }
    }
    Ok(identity)
}

fn account(user: &str, passwd: &str, group: &str) -> Result<Identity> {
    let user = if user.is_empty() { "0" } else { user };
    let number = number(user)?;
    // A name that is all digits still means the account of that name first, as in Docker.
    let found = accounts(passwd)
        .find(|a| a.name == user)
        .or_else(|| number.and_then(|uid| accounts(passwd).find(|a| a.uid == uid)));
    match (found, number) {
        (Some(found), _) => Ok(Identity {
            uid: found.uid,
            gid: found.gid,
            additional_gids: memberships(found.name, group),
            home: Some(found.home.to_owned()),
        }),
        (None, Some(uid)) => Ok(Identity {
            uid,
            gid: 0,
            additional_gids: Vec::new(),
            home: None,
        }),
        (None, None) => Err(Error::invalid(format!(
            "unable to find user {user}: no matching entries in passwd file"
        ))),
    }
}

fn gid(name: &str, group: &str) -> Result<u32> {
    if let Some(found) = groups(group).find(|g| g.name == name) {
        return Ok(found.gid);
    }
    number(name)?.ok_or_else(|| {
        Error::invalid(format!(
            "unable to find group {name}: no matching entries in group file"
        ))
    })
}

/// The number a text is; an error when it is one that no process can have (beyond 2^31 - 1, as runc has it).
fn number(text: &str) -> Result<Option<u32>> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Ok(None);
    }
    match text.parse::<u32>() {
        Ok(id) if i32::try_from(id).is_ok() => Ok(Some(id)),
        _ => Err(Error::invalid(
            "uids and gids must be in range 0-2147483647",
        )),
    }
}

fn memberships(user: &str, group: &str) -> Vec<u32> {
    groups(group)
        .filter(|g| g.members.split(',').any(|m| m.trim() == user))
        .map(|g| g.gid)
        .collect()
}

fn accounts(passwd: &str) -> impl Iterator<Item = Account<'_>> {
    passwd.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let mut rest = fields.skip(1);
        Some(Account {
            name,
            uid: rest.next()?.parse().ok()?,
            gid: rest.next()?.parse().ok()?,
            home: rest.nth(1).unwrap_or_default(),
        })
    })
}

fn groups(group: &str) -> impl Iterator<Item = Group<'_>> {
    group.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let gid = fields.nth(1)?.parse().ok()?;
        Some(Group {
            name,
            gid,
            members: fields.next().unwrap_or_default(),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\n# a comment\nalice:x:1000:1001:Alice:/home/alice:/bin/sh\n12:x:2000:2000::/srv:/bin/sh\nbroken:x\n";
    const GROUP: &str = "root:x:0:root\nusers:x:100:alice,bob\nalice:x:1001:\naudio:x:29:alice\n";

    /// uid, gid, additional gids, home.
    type Expected<'a> = (u32, u32, &'a [u32], Option<&'a str>);

    fn check(user: &str, added: &[&str], expect: Result<Expected<'_>, &str>) {
        let added: Vec<String> = added.iter().map(|g| (*g).to_owned()).collect();
        let got = resolve(user, &added, PASSWD, GROUP);
        match (got, expect) {
            (Ok(got), Ok((uid, gid, additional, home))) => assert_eq!(
                (
                    got.uid,
                    got.gid,
                    &got.additional_gids[..],
                    got.home.as_deref()
                ),
                (uid, gid, additional, home),
                "{user:?}"
            ),
            (Err(got), Err(text)) => assert_eq!(got.to_string(), text, "{user:?}"),
            (got, expect) => panic!("{user:?}: {got:?} instead of {expect:?}"),
        }
    }

    #[test]
    fn users_by_name_and_number() {
        check("", &[], Ok((0, 0, &[0], Some("/root"))));
        check(
            "alice",
            &[],
            Ok((1000, 1001, &[1001, 100, 29], Some("/home/alice"))),
        );
        check(
            "1000",
            &[],
            Ok((1000, 1001, &[1001, 100, 29], Some("/home/alice"))),
        );
        check("12", &[], Ok((2000, 2000, &[2000], Some("/srv"))));
        check("4711", &[], Ok((4711, 0, &[0], None)));
    }

    #[test]
    fn groups_by_name_and_number() {
        check(
            "alice:users",
            &[],
            Ok((1000, 100, &[100], Some("/home/alice"))),
        );
        check("1:2", &[], Ok((1, 2, &[2], None)));
        check(
            "alice",
            &["audio", "77"],
            Ok((1000, 1001, &[1001, 100, 29, 77], Some("/home/alice"))),
        );
    }

    #[test]
    fn who_is_not_there_is_refused() {
        check(
            "carol",
            &[],
            Err("unable to find user carol: no matching entries in passwd file"),
        );
        check(
            "alice:nope",
            &[],
            Err("unable to find group nope: no matching entries in group file"),
        );
        check(
            "alice",
            &["nope"],
            Err("unable to find group nope: no matching entries in group file"),
        );
        check(
            "-1",
            &[],
            Err("uids and gids must be in range 0-2147483647"),
        );
        check(
            "2147483648",
            &[],
            Err("uids and gids must be in range 0-2147483647"),
        );
        check(
            "99999999999",
            &[],
            Err("uids and gids must be in range 0-2147483647"),
        );
    }
}
