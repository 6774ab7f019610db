//! Chains of others that drop what is forwarded to published ports.
//!
//! Such a chain ends in dropping: by its policy (ufw, Docker), or by a last rule that everything reaches (firewalld). What a host's
//! addresses have been translated for is let through by some all the same: firewalld says `ct status dnat accept`, as
//! hand-written rulesets may. There nothing is in the way of a published port, and the container sees who connects.

use linux::Errno;
use linux::netlink::Protocol;

use super::legacy;
use super::transaction::{SUBSYSTEM, generic};
use crate::Result;
use crate::netlink::{Attributes, Batch, Connection, Message, flag, u32_at};

const NEWCHAIN: u16 = SUBSYSTEM | 3;
const GETCHAIN: u16 = SUBSYSTEM | 4;
const NEWRULE: u16 = SUBSYSTEM | 6;
const GETRULE: u16 = SUBSYSTEM | 7;
const DROP: u32 = 0;
const ACCEPT: u32 = 1;

/// A chain of somebody's on the way of what is forwarded.
struct Chain {
    family: u8,
    table: String,
    name: String,
    drops: bool,
}

/// What a rule is, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    /// Lets published ports through, alone or with everything else.
    Accepts,
    /// Drops or rejects whatever reaches it.
    Ends,
    Other,
}

/// Each such chain as a sentence for the user. Ours have no policy, and end in dropping what is not theirs to let in.
pub(crate) fn obstacles(own_table: &str) -> Result<Vec<String>> {
    let mut connection = Connection::open(Protocol::Netfilter)?;
    let mut batch = Batch::new();
    let doing = "list the machine's firewall chains";
    batch.message(GETCHAIN, flag::DUMP, &generic(0, 0), doing);
    let mut chains = Vec::new();
    connection.ask(&batch, |message| chains.extend(on_the_way(message)))?;
    let mut found = Vec::new();
    for chain in chains.iter().filter(|chain| !is_ours(chain, own_table)) {
        if is_obstacle(&mut connection, chain)? {
            found.push(chain.sentence());
        }
    }
    found.extend(legacy::obstacles()?);
    Ok(found)
}

/// Another engine like this one lets pass what it does not know.
fn is_ours(chain: &Chain, own_table: &str) -> bool {
    chain.table == own_table || chain.table.starts_with("tare-") && chain.name == "forward"
}

impl Chain {
    fn sentence(&self) -> String {
        let family = match self.family {
            1 => "inet",
            2 => "ip",
            _ => "ip6",
        };
        format!(
            "the chain {} of the firewall table {family} {} drops what is forwarded, unless it has a rule that accepts it: containers may not reach other hosts, nor be reached",
            self.name, self.table
        )
    }
}

fn on_the_way(message: &Message<'_>) -> Option<Chain> {
    const FORWARD: u32 = 2;
    let attributes = message.attributes(4);
    let hook = attributes.nested(4).be32(1)?;
    let family = *message.payload.first()?;
    if message.kind != NEWCHAIN || hook != FORWARD || !matches!(family, 1 | 2 | 10) {
        return None;
    }
    Some(Chain {
        family,
        table: attributes.text(1)?.to_owned(),
        name: attributes.text(3)?.to_owned(),
        drops: attributes.be32(5)? == DROP,
    })
}

/// Whether an answer is a chain or a rule of one that is looked at.
pub(crate) fn is_on_the_way(message: &Message<'_>) -> bool {
    let of_rule = message.attributes(4).text(2).unwrap_or("");
    on_the_way(message).is_some() || rule(message, of_rule).is_some()
}

fn is_obstacle(connection: &mut Connection, chain: &Chain) -> Result<bool> {
    let mut batch = Batch::new();
    let doing = format!("read the firewall chain {}", chain.name);
    batch
        .message(GETRULE, flag::DUMP, &generic(chain.family, 0), doing)
        .text(1, &chain.table)
        .text(2, &chain.name);
    let mut rules = Vec::new();
    match connection.ask(&batch, |message| rules.extend(rule(message, &chain.name))) {
        // It has gone meanwhile.
        Err(error) if error.errno() == Some(Errno::NOENT) => return Ok(false),
        result => result?,
    }
    let decides = rules.into_iter().find(|rule| *rule != Rule::Other);
    Ok(match decides {
        Some(Rule::Accepts) => false,
        Some(Rule::Ends) => true,
        _ => chain.drops,
    })
}

fn rule(message: &Message<'_>, chain: &str) -> Option<Rule> {
    let attributes = message.attributes(4);
    (message.kind == NEWRULE && attributes.text(2) == Some(chain))
        .then(|| judge(attributes.nested(4)))
}

/// Counters and logs decide nothing.
fn judge(expressions: Attributes<'_>) -> Rule {
    let all = expressions.map(|(_, one)| Attributes::new(one));
    let all: Vec<_> = all
        .filter(|one| !matches!(one.text(1), Some("counter" | "log")))
        .collect();
    let names: Vec<_> = all.iter().map(|one| one.text(1).unwrap_or("")).collect();
    let verdict = all.last().and_then(verdict);
    match names[..] {
        ["reject"] => Rule::Ends,
        ["immediate"] if verdict == Some(DROP) => Rule::Ends,
        ["immediate"] if verdict == Some(ACCEPT) => Rule::Accepts,
        ["ct", "bitwise", "cmp", "immediate"]
            if verdict == Some(ACCEPT) && is_of_translated(&all) =>
        {
            Rule::Accepts
        }
        _ => Rule::Other,
    }
}

fn verdict(immediate: &Attributes<'_>) -> Option<u32> {
    immediate.nested(2).nested(2).nested(2).be32(1)
}

/// `ct status dnat`: a bit of the status, compared with nothing.
fn is_of_translated(all: &[Attributes<'_>]) -> bool {
    const STATUS: u32 = 2;
    const TRANSLATED: u32 = 1 << 5;
    const NOT_EQUAL: u32 = 1;
    let [ct, bitwise, cmp, ..] = all else {
        return false;
    };
    let (ct, bitwise, cmp) = (ct.nested(2), bitwise.nested(2), cmp.nested(2));
    let number = |data: Attributes<'_>| data.get(1).and_then(|bytes| u32_at(bytes, 0));
    let value = number(cmp.nested(3));
    let wanted = if cmp.be32(2) == Some(NOT_EQUAL) {
        Some(0)
    } else {
        Some(TRANSLATED)
    };
    ct.be32(2) == Some(STATUS) && number(bitwise.nested(4)) == Some(TRANSLATED) && value == wanted
}
