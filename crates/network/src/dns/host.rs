//! Names of containers for the host itself, below a domain: `NAME.DOMAIN` for a container in whatever network it is,
//! `NAME.NETWORK.DOMAIN` for whatever is called so in that network, aliases included. Aliases without a network are nobody's: two
//! projects may both have a `db`.
//!
//! Nothing else is answered, and nothing is asked elsewhere: who sends such queries here has other servers for the rest.

use super::message::{NO_SUCH_NAME, REFUSED};
use super::{Answer, RecordType, Table, Transport, begin, table};

/// How long others may remember an answer, in seconds: a container that starts again has another address.
const TTL: u32 = 2;

/// Answers a query of the host's about names below `domain`, which is in lower case. Never [`Answer::Forward`].
#[must_use]
pub fn answer_host(
    query: &[u8],
    transport: Transport,
    domain: &str,
    tables: &[&Table],
    turn: usize,
) -> Answer {
    let (parsed, mut reply) = match begin(query, transport) {
        Ok(begun) => begun,
        Err(answer) => return answer,
    };
    let question = &parsed.question;
    let pointer = match question.kind {
        RecordType::Ptr => table::reverse(&question.name),
        _ => None,
    };
    if let Some(address) = pointer {
        match tables.iter().find_map(|table| table.name_of(address)) {
            Some(name) => reply.pointer(&format!("{name}.{domain}"), TTL),
            None => reply.deny(REFUSED),
        }
        return Answer::Reply(reply.finish());
    }
    let below = question.name.strip_suffix(domain);
    match below.map(|below| (below, below.strip_suffix('.'))) {
        // The domain itself has nothing.
        Some(("", _)) => {}
        Some((_, Some(name))) => match find(tables, name) {
            Some(found) => {
                let wants_v4 = question.kind == RecordType::A;
                if wants_v4 || question.kind == RecordType::Aaaa {
                    reply.addresses(found, wants_v4, turn, TTL);
                }
            }
            None if tables.iter().any(|table| table.has_below(name)) => {}
            None => reply.deny(NO_SUCH_NAME),
        },
        _ => reply.deny(REFUSED),
    }
    Answer::Reply(reply.finish())
}

fn find(tables: &[&Table], name: &str) -> Option<Vec<std::net::IpAddr>> {
    let own: Vec<_> = tables
        .iter()
        .flat_map(|table| table.find_own(name))
        .collect();
    if !own.is_empty() {
        return Some(own);
    }
    tables
        .iter()
        .find_map(|table| table.find_with_network(name))
}

#[cfg(test)]
mod tests;
