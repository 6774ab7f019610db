//! Names of containers: tables, and answers out of them. No sockets: who has them gives the bytes of a query in, and sends
//! the bytes that come out.
//!
//! What is answered, as Docker's embedded server does (moby, libnetwork/resolver.go): A, AAAA and PTR of names and
//! addresses in the networks that the asking container is in. A name that we know but not with an address of the family that is
//! asked for has an answer without records: nobody upstream may answer in our place. Everything else is forwarded.

mod host;
mod message;
mod table;

pub use host::answer_host;

pub use message::{
    Question, RecordType, has_room, is_answer, is_failure, parse, servfail, truncate,
};
pub use table::{Named, Table};

use std::net::IpAddr;

use message::{Reply, Wire};

/// How long others may remember an answer, in seconds. Docker's.
const TTL: u32 = 600;

/// What to do with a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Send this back.
    Reply(Vec<u8>),
    /// The name is none of ours: ask the upstream servers.
    Forward,
    /// This is no query: send nothing.
    Ignore,
}

/// What carried the query: a datagram's answer must fit into one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    Udp,
    Tcp,
}

/// Answers a query of a container that is in the networks of `tables`, that of its default route first. Other networks'
/// names are not there for it. `turn` is another number each time, so that several addresses of a name take turns.
#[must_use]
pub fn answer(query: &[u8], transport: Transport, tables: &[&Table], turn: usize) -> Answer {
    let (parsed, mut reply) = match begin(query, transport) {
        Ok(begun) => begun,
        Err(answer) => return answer,
    };
    let kind = parsed.question.kind;
    match kind {
        RecordType::A | RecordType::Aaaa => {
            let Some(found) = find(tables, &parsed.question.name) else {
                return Answer::Forward;
            };
            reply.addresses(found, kind == RecordType::A, turn, TTL);
        }
        RecordType::Ptr => {
            let name = table::reverse(&parsed.question.name)
                .and_then(|address| tables.iter().find_map(|table| table.name_of(address)));
            let Some(name) = name else {
                return Answer::Forward;
            };
            reply.pointer(&name, TTL);
        }
        // A name of ours has no mail servers and no texts, and nobody upstream may say that it has.
        RecordType::Other(_) => {
            if find(tables, &parsed.question.name).is_none() {
                return Answer::Forward;
            }
        }
    }
    Answer::Reply(reply.finish())
}

/// Reads the query and begins the reply, unless there is nothing to be looked up.
fn begin(query: &[u8], transport: Transport) -> Result<(message::Parsed, Reply), Answer> {
    let parsed = parse(query).map_err(|wrong| match wrong {
        Wire::NotAQuery => Answer::Ignore,
        Wire::Malformed { id } => Answer::Reply(message::refuse(id, message::FORMAT_ERROR)),
        // Of updates, transfers and the like we know nothing, and nobody else is to be bothered with them.
        Wire::Unsupported { id } => Answer::Reply(message::refuse(id, message::NOT_IMPLEMENTED)),
    })?;
    let room = match transport {
        Transport::Tcp => usize::from(u16::MAX),
        Transport::Udp => parsed.room(),
    };
    let reply = Reply::to(query, &parsed, room);
    Ok((parsed, reply))
}

/// The addresses of a name in the first of the networks that knows it.
fn find(tables: &[&Table], name: &str) -> Option<Vec<IpAddr>> {
    tables.iter().find_map(|table| table.find(name))
}

#[cfg(test)]
mod tests;
