//! Registries: logging in, searching, looking at what is there.

use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, URL_SAFE as PADDED};
use http::HeaderName;
use oci::{Descriptor, Platform};
use serde::{Deserialize, Serialize};

use super::wire::{is_default, wire};

/// The header that carries the credentials of one registry: `X-Registry-Auth`.
pub const AUTH_HEADER: HeaderName = HeaderName::from_static("x-registry-auth");

/// Docker's daemon takes the header with padding and without.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

wire! {
    /// Who the user is to one registry: the body of `POST /auth`, and the header [`AUTH_HEADER`].
    pub struct AuthConfig {
        /// The name to log in with.
        #[serde(rename = "username", skip_serializing_if = "is_default")]
        pub username: String,
        /// The password or the personal access token.
        #[serde(rename = "password", skip_serializing_if = "is_default")]
        pub password: String,
        /// `username:password` in base64, from very old clients.
        #[serde(rename = "auth", skip_serializing_if = "is_default")]
        pub auth: String,
        /// The registry that these are for.
        #[serde(rename = "serveraddress", skip_serializing_if = "is_default")]
        pub server_address: String,
        /// What a login gave in place of the password: good for asking for access tokens.
        #[serde(rename = "identitytoken", skip_serializing_if = "is_default")]
        pub identity_token: String,
        /// An access token that is sent to the registry as it is.
        #[serde(rename = "registrytoken", skip_serializing_if = "is_default")]
        pub registry_token: String,
    }

    /// Answer of `POST /auth`.
    pub struct AuthResponse {
        /// What to tell the user.
        pub status: String,
        /// What to store in place of the password; empty if the registry gives none.
        pub identity_token: String,
    }

    /// One entry of `GET /images/search`.
    pub struct SearchResult {
        /// Stars it was given.
        #[serde(rename = "star_count")]
        pub star_count: i64,
        /// Whether it is one of Docker's own.
        #[serde(rename = "is_official")]
        pub is_official: bool,
        /// Its name.
        #[serde(rename = "name")]
        pub name: String,
        /// Always false by now.
        #[serde(rename = "is_automated")]
        pub is_automated: bool,
        /// What it is.
        #[serde(rename = "description")]
        pub description: String,
    }
}

/// Answer of `GET /distribution/{name}/json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DistributionInspect {
    /// What the name stands for at its registry.
    pub descriptor: Descriptor,
    /// What it runs on.
    pub platforms: Vec<Platform>,
}

impl AuthConfig {
    /// The header's value.
    pub fn to_header(&self) -> String {
        // Texts can always be written as JSON.
        PADDED.encode(serde_json::to_vec(self).unwrap_or_default())
    }

    /// Reads the header's value; an empty one says nothing.
    pub fn from_header(value: &str) -> Result<Self, InvalidAuth> {
        if value.is_empty() {
            return Ok(Self::default());
        }
        let text = LENIENT.decode(value).map_err(|_| InvalidAuth)?;
        serde_json::from_slice(&text).map_err(|_| InvalidAuth)
    }
}

/// A header that is no credentials. What it holds is not told, because it may be a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("invalid X-Registry-Auth header")]
pub struct InvalidAuth;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_travel_in_a_header() {
        assert_eq!(AuthConfig::default().to_header(), "e30=");
        let auth = AuthConfig {
            username: "joe".into(),
            password: "s?>crét".into(),
            server_address: "127.0.0.1:5000".into(),
            ..AuthConfig::default()
        };
        let header = auth.to_header();
        assert_eq!(AuthConfig::from_header(&header), Ok(auth.clone()));
        assert_eq!(
            AuthConfig::from_header(header.trim_end_matches('=')),
            Ok(auth)
        );
        assert_eq!(AuthConfig::from_header(""), Ok(AuthConfig::default()));
        for bad in ["e30", "!", "bm8="] {
            let read = AuthConfig::from_header(bad);
            assert!(bad == "e30" || read == Err(InvalidAuth), "{bad}: {read:?}");
        }
    }
}
