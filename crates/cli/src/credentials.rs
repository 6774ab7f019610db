//! Who the user is to registries: where `login` puts credentials and where pull and push find them.
//!
//! A registry's credentials are kept by its own helper (`credHelpers` of config.json), else by the store (`credsStore`), else in
//! config.json itself. Helpers and stores are programs that Docker's client uses too ([`program`]). Credentials are looked up
//! for one registry by its name, and are sent nowhere else.

pub(crate) mod program;
pub(crate) mod prompt;

use api::types::registry::AuthConfig;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::config_file::{self, Document, StoredAuth};
use crate::context::Context;
use crate::failure::Failure;
use crate::print::warn;
use program::Program;

/// The name that Docker Hub's credentials go by, everywhere.
pub(crate) const HUB: &str = "https://index.docker.io/v1/";

/// What a helper calls the user whose secret is an identity token.
const TOKEN_USER: &str = "<token>";

/// The name that credentials for the registry of an image go by.
pub(crate) fn registry_of(image: &oci::Reference) -> &str {
    match image.domain() {
        "docker.io" => HUB,
        domain => domain,
    }
}

/// `https://host:5000/v1/` as `host:5000`: all that tells registries apart.
pub(crate) fn host_of(address: &str) -> &str {
    let rest = address
        .strip_prefix("http://")
        .or_else(|| address.strip_prefix("https://"))
        .unwrap_or(address);
    rest.split('/').next().unwrap_or(rest)
}

/// The credentials stored for a registry; empty if there are none. A store that does not answer is no reason not to try
/// without.
pub(crate) fn stored(context: &Context, registry: &str) -> AuthConfig {
    let in_file = in_file(context, registry).unwrap_or_else(|told| {
        let path = context.config_folder().join("config.json");
        warn(&format!(
            "WARNING: Error parsing config file ({}): {told}",
            path.display()
        ));
        AuthConfig::default()
    });
    let Some(helper) = helper(context, registry) else {
        return in_file;
    };
    match helper.get(registry) {
        Ok(Some(found)) => of_helper(registry, found),
        Ok(None) | Err(_) => in_file,
    }
}

/// The header value that tells the daemon about the registry of `image`.
pub(crate) fn header(context: &Context, image: &oci::Reference) -> String {
    stored(context, registry_of(image)).to_header()
}

/// Stores what a login has proven. Returns whether a password lies in config.json now that did not before.
pub(crate) fn store(context: &Context, auth: &AuthConfig) -> Result<bool, Failure> {
    let folder = context.config_folder();
    let registry = &auth.server_address;
    let Some(helper) = helper(context, registry) else {
        let changed = config_file::set_auth(&folder, registry, Some(&entry(auth)))?;
        return Ok(changed && !auth.password.is_empty());
    };
    let (user, secret) = match auth.identity_token.as_str() {
        "" => (auth.username.as_str(), auth.password.as_str()),
        token => (TOKEN_USER, token),
    };
    helper
        .store(registry, user, secret)
        .map_err(|error| Failure::new(format!("Error saving credentials: {error}")))?;
    // The entry tells that there is something in the store; it holds nothing secret.
    config_file::set_auth(&folder, registry, Some(&Document::new()))?;
    Ok(false)
}

/// Forgets a registry's credentials under one of its names.
pub(crate) fn erase(context: &Context, registry: &str) -> Result<(), Failure> {
    if let Some(helper) = helper(context, registry) {
        helper
            .erase(registry)
            .map_err(|error| Failure::new(error.to_string()))?;
    }
    if context.config_file().auths.contains_key(registry) {
        config_file::set_auth(&context.config_folder(), registry, None)?;
    }
    Ok(())
}

/// Who keeps a registry's credentials, if it is not the file.
fn helper(context: &Context, registry: &str) -> Option<Program> {
    let config = context.config_file();
    let name = config
        .cred_helpers
        .get(registry)
        .unwrap_or(&config.creds_store);
    Program::new(name)
}

fn of_helper(registry: &str, found: program::Credentials) -> AuthConfig {
    let mut auth = AuthConfig {
        server_address: registry.to_owned(),
        ..AuthConfig::default()
    };
    if found.username == TOKEN_USER {
        auth.identity_token = found.secret;
    } else {
        auth.username = found.username;
        auth.password = found.secret;
    }
    auth
}

/// Looks for the registry's own name first, then for one that means the same host.
fn in_file(context: &Context, registry: &str) -> Result<AuthConfig, String> {
    let auths = &context.config_file().auths;
    let same_host = || {
        auths
            .iter()
            .find(|(name, _)| host_of(name) == registry)
            .map(|(_, stored)| stored)
    };
    match auths.get(registry).or_else(same_host) {
        Some(stored) => of_file(registry, stored),
        None => Ok(AuthConfig::default()),
    }
}

fn of_file(registry: &str, stored: &StoredAuth) -> Result<AuthConfig, String> {
    let mut auth = AuthConfig {
        username: stored.username.clone(),
        password: stored.password.clone(),
        identity_token: stored.identity_token.clone(),
        registry_token: stored.registry_token.clone(),
        server_address: registry.to_owned(),
        ..AuthConfig::default()
    };
    if !stored.auth.is_empty() {
        let invalid = "Invalid auth configuration file";
        let text = STANDARD
            .decode(&stored.auth)
            .map_err(|_| "illegal base64 data in an entry of auths".to_owned())?;
        let text = String::from_utf8(text).map_err(|_| invalid.to_owned())?;
        let (user, password) = text.split_once(':').ok_or(invalid)?;
        user.clone_into(&mut auth.username);
        // Windows' first credentials ended in zeros.
        password.trim_matches('\0').clone_into(&mut auth.password);
    }
    Ok(auth)
}

/// What the file holds about a registry.
fn entry(auth: &AuthConfig) -> Document {
    let mut entry = Document::new();
    let mut put = |name: &str, value: String| {
        if !value.is_empty() {
            entry.insert(name.to_owned(), value.into());
        }
    };
    if !auth.username.is_empty() || !auth.password.is_empty() {
        put(
            "auth",
            STANDARD.encode(format!("{}:{}", auth.username, auth.password)),
        );
    }
    put("identitytoken", auth.identity_token.clone());
    put("registrytoken", auth.registry_token.clone());
    entry
}

#[cfg(test)]
mod tests;
