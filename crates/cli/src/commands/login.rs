//! `login`: tell a registry who one is, and remember that.

use std::io::Read;

use api::client::{Client, Request};
use api::types::registry::{AuthConfig, AuthResponse};

use crate::command::{Args, Command, Flag, Order};
use crate::context::Context;
use crate::credentials::prompt::{self, Known};
use crate::credentials::{self, HUB, host_of};
use crate::failure::{Failure, Outcome};
use crate::flags::Matches;
use crate::note::{self, Span};
use crate::print::{print, warn};

/// The row of the table.
pub(super) static COMMAND: Command = Command {
    paths: &["login"],
    about: "Log in to a registry (Docker Hub unless another is named)",
    usage: "[OPTIONS] [SERVER]",
    args: Args::AtMost(1),
    order: Order::Anywhere,
    flags: &[&[
        Flag::text("password", Some('p'), "Password or personal access token"),
        Flag::bool(
            "password-stdin",
            None,
            "Read the password or personal access token from stdin",
        ),
        Flag::text("username", Some('u'), "User name"),
    ]],
    run,
};

/// Who logs in where, as far as the user has said.
struct Login<'a> {
    context: &'a Context,
    registry: String,
    user: String,
    password: String,
}

fn run(context: &Context, matches: &Matches) -> Outcome {
    let login = Login {
        context,
        registry: registry(matches.args.first().map(String::as_str)),
        password: password(matches)?,
        user: matches.text_or_empty("username").to_owned(),
    };
    let status = context.talk(async |client| login.go(client).await)?;
    match status.as_str() {
        "" => Ok(crate::failure::Exit::OK),
        status => print(&format!("{status}\n")),
    }
}

/// The name that the registry's credentials go by.
pub(super) fn registry(given: Option<&str>) -> String {
    match given {
        None | Some("" | "docker.io" | HUB) => HUB.to_owned(),
        Some(address) => host_of(address).to_owned(),
    }
}

/// What flags and stdin say of the password; empty if nothing does.
fn password(matches: &Matches) -> Result<String, Failure> {
    let given = matches.text_or_empty("password");
    if matches.flag("password-stdin") {
        if matches.given("password") {
            return Err(Failure::new(
                "conflicting options: cannot specify both --password and --password-stdin",
            ));
        }
        if matches.text_or_empty("username").is_empty() {
            return Err(Failure::new(
                "the --password-stdin option requires --username to be set",
            ));
        }
        let mut text = String::new();
        std::io::stdin().lock().read_to_string(&mut text)?;
        let line = text.strip_suffix('\n').unwrap_or(&text);
        return Ok(line.strip_suffix('\r').unwrap_or(line).to_owned());
    }
    if !given.is_empty() {
        warn("WARNING! Using --password via the CLI is insecure. Use --password-stdin.");
    }
    Ok(given.to_owned())
}

impl Login<'_> {
    /// With what is stored, if that works and nothing else was said; else with what the user answers.
    async fn go(&self, client: &Client) -> Result<String, Failure> {
        let mut usual_user = String::new();
        if self.user.is_empty() && self.password.is_empty() {
            let mut stored = credentials::stored(self.context, &self.registry);
            stored.server_address.clone_from(&self.registry);
            stored.identity_token.clear();
            if !stored.username.is_empty()
                && !stored.password.is_empty()
                && let Some(status) = self.try_stored(client, &stored).await?
            {
                return Ok(status);
            }
            usual_user = stored.username;
        }
        let known = Known {
            user: &self.user,
            password: &self.password,
            usual_user: &usual_user,
        };
        let auth = prompt::credentials(known, &self.registry)?;
        let answer = log_in(client, &auth).await?;
        self.remember(auth, &answer)?;
        Ok(answer.status)
    }

    async fn try_stored(
        &self,
        client: &Client,
        stored: &AuthConfig,
    ) -> Result<Option<String>, Failure> {
        warn(&format!(
            "Authenticating with existing credentials... [Username: {}]",
            stored.username
        ));
        note::on_stderr(&[&[Span::Plain(
            "To login with a different account, run 'docker logout' followed by 'docker login'",
        )]]);
        warn("\n");
        match log_in(client, stored).await {
            Ok(answer) => {
                self.remember(stored.clone(), &answer)?;
                Ok(Some(answer.status))
            }
            Err(error) if error.status() == Some(401) => {
                warn("Stored credentials invalid or expired");
                Ok(None)
            }
            Err(error) => {
                warn(&format!("Login did not succeed, error: {error}"));
                Ok(None)
            }
        }
    }

    fn remember(&self, mut auth: AuthConfig, answer: &AuthResponse) -> Result<(), Failure> {
        if !answer.identity_token.is_empty() {
            auth.password.clear();
            auth.identity_token.clone_from(&answer.identity_token);
        }
        if credentials::store(self.context, &auth)? {
            let path = self.context.config_folder().join("config.json");
            warn(&format!(
                "\nWARNING! Your credentials are stored unencrypted in '{}'.\nConfigure a credential helper to remove this warning. See\nhttps://docs.docker.com/go/credential-store/\n",
                path.display()
            ));
        }
        Ok(())
    }
}

async fn log_in(client: &Client, auth: &AuthConfig) -> api::client::Result<AuthResponse> {
    client.json(Request::post("/auth").body(auth)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn docker_hub_has_many_names() {
        assert_eq!(registry(None), HUB);
        assert_eq!(registry(Some("docker.io")), HUB);
        assert_eq!(registry(Some("https://h:1/v2/")), "h:1");
        assert_eq!(registry(Some("h")), "h");
    }
}
