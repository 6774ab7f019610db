//! `system dial-stdio`: what `ssh` runs on the other side, so that a client here speaks to the daemon there.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;

use api::client::Endpoint;

use crate::command::{Args, Command, Order};
use crate::context::Context;
use crate::failure::{Exit, Failure, Outcome};
use crate::flags::Matches;

/// The row of the table.
pub(super) static COMMAND: Command = Command {
    paths: &["system dial-stdio"],
    about: "Pass bytes between standard input and output and the daemon",
    usage: "",
    args: Args::None,
    order: Order::Anywhere,
    flags: &[],
    run,
};

fn run(context: &Context, _: &Matches) -> Outcome {
    let host = context.host()?;
    // Starts our own daemon if nobody is there.
    context.talk(async |_client| Ok(()))?;
    let refused = |source| {
        Failure::from(api::client::Error::Connect {
            host: host.address.clone(),
            source,
        })
    };
    match host.address.parse::<Endpoint>()? {
        Endpoint::Unix(path) => {
            let socket = UnixStream::connect(path).map_err(refused)?;
            let there = socket.try_clone()?;
            join(socket, there, |socket| socket.shutdown(Shutdown::Write))
        }
        Endpoint::Tcp(address) => {
            let socket = TcpStream::connect(address).map_err(refused)?;
            let there = socket.try_clone()?;
            join(socket, there, |socket| socket.shutdown(Shutdown::Write))
        }
        Endpoint::Ssh(_) => Err(Failure::new(
            "the daemon of another machine is not passed on to a third one",
        )),
    }
}

/// Until the daemon has said all. The end of our input is the end of what it hears.
fn join<S>(mut from: S, mut to: S, end: fn(&S) -> io::Result<()>) -> Outcome
where
    S: Read + Write + Send + 'static,
{
    std::thread::spawn(move || {
        // Whichever side has gone, the other one sees the end.
        let _gone = io::copy(&mut io::stdin().lock(), &mut to);
        let _gone = end(&to);
    });
    let mut out = io::stdout().lock();
    let mut piece = vec![0; 64 << 10];
    loop {
        match from.read(&mut piece)? {
            0 => return Ok(Exit::OK),
            got => {
                out.write_all(&piece[..got])?;
                out.flush()?;
            }
        }
    }
}
