//! Asks the user who he is.

use std::io::{self, BufRead, Write};

use api::types::registry::AuthConfig;

use super::HUB;
use crate::failure::Failure;
use crate::note::{self, Span};
use crate::terminal::{self, secret};

const REGISTER: &str = "Log in with your Docker ID or email address to push and pull images from Docker Hub. If you don't have a Docker ID, head over to https://hub.docker.com/ to create one.";
const TOKENS: &str = "You can log in with your password or a Personal Access Token (PAT). Using a limited-scope PAT grants better security and is required for organizations using SSO. Learn more at https://docs.docker.com/go/access-tokens/";

/// What is known before anything is asked.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Known<'a> {
    /// The name that was given.
    pub(crate) user: &'a str,
    /// The password that was given.
    pub(crate) password: &'a str,
    /// The name that an empty answer means.
    pub(crate) usual_user: &'a str,
}

/// Asks for what is missing. Names and passwords are asked of a terminal only: a pipe has `--password-stdin`.
pub(crate) fn credentials(known: Known<'_>, registry: &str) -> Result<AuthConfig, Failure> {
    let (mut user, mut password) = (
        known.user.trim().to_owned(),
        known.password.trim().to_owned(),
    );
    if (user.is_empty() || password.is_empty()) && !terminal::stdin_is_terminal() {
        return Err(Failure::new(
            "Error: Cannot perform an interactive login from a non TTY device",
        ));
    }
    if user.is_empty() {
        user = ask_user(known.usual_user.trim(), registry)?;
    }
    if password.is_empty() {
        password = ask_password(registry)?;
    }
    Ok(AuthConfig {
        username: user,
        password,
        server_address: registry.to_owned(),
        ..AuthConfig::default()
    })
}

fn ask_user(usual: &str, registry: &str) -> Result<String, Failure> {
    let mut question = String::new();
    if registry == HUB {
        question = format!("{REGISTER}\n");
        if hints_are_wanted() {
            question = format!("{REGISTER}\n{TOKENS}\n\n");
        }
    }
    question.push_str(&match usual {
        "" => "Username: ".to_owned(),
        usual => format!("Username ({usual}): "),
    });
    let given = ask(&question)?;
    match (given.as_str(), usual) {
        ("", "") => Err(Failure::new("Error: Non-null Username Required")),
        ("", usual) => Ok(usual.to_owned()),
        _ => Ok(given),
    }
}

fn ask_password(registry: &str) -> Result<String, Failure> {
    if registry == HUB {
        note::on_stderr(&[
            &[Span::Plain(
                "A Personal Access Token (PAT) can be used instead.",
            )],
            &[
                Span::Plain("To create a PAT, visit "),
                Span::Underlined("https://app.docker.com/settings"),
            ],
            &[],
            &[],
        ]);
    }
    let mut out = io::stdout();
    out.write_all(b"Password: ")?;
    out.flush()?;
    let password = secret::read();
    writeln!(out)?;
    match password?.as_deref().map(str::trim) {
        // What a shell says of a command that ctrl-C ended.
        None => Err(Failure::silent(130)),
        Some("") => Err(Failure::new("Error: Password Required")),
        Some(password) => Ok(password.to_owned()),
    }
}

fn ask(question: &str) -> Result<String, Failure> {
    let mut out = io::stdout();
    out.write_all(question.as_bytes())?;
    out.flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(answer.trim().to_owned())
}

fn hints_are_wanted() -> bool {
    let set = std::env::var("DOCKER_CLI_HINTS").unwrap_or_default();
    crate::flags::parse_bool(&set).unwrap_or(true)
}
