//! `completion`: scripts that teach a shell to ask for candidates; see [`crate::completion`].

use crate::command::{Args, Command, Order};
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::flags::Matches;
use crate::print::print;

const BASH: &str = include_str!("../completion/tare.bash");
const FISH: &str = include_str!("../completion/tare.fish");
const ZSH: &str = include_str!("../completion/tare.zsh");

/// The row of the table.
pub(super) static COMMAND: Command = Command {
    paths: &["completion"],
    about: "Print the completion script for a shell",
    usage: "bash|fish|zsh",
    args: Args::Exactly(1),
    order: Order::Anywhere,
    flags: &[],
    run,
};

fn run(context: &Context, matches: &Matches) -> Outcome {
    let script = match matches.args[0].as_str() {
        "bash" => BASH,
        "fish" => FISH,
        "zsh" => ZSH,
        other => {
            return Err(Failure::new(format!(
                "no completion for {other:?}: bash, fish and zsh have one"
            )));
        }
    };
    print(&script.replace("PROGRAM", context.program))
}
