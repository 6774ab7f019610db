//! Bearer tokens: JSON Web Tokens with the claims of distribution's token protocol.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, UnparsedPublicKey,
    VerificationAlgorithm,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio_rustls::rustls::pki_types::SubjectPublicKeyInfoDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;

use super::SERVICE;
use super::der;

/// Seconds that our own tokens are good for; a long upload asks for a new one.
const LIFETIME: u64 = 300;
/// Seconds that another machine's clock may be off.
const SKEW: u64 = 60;
/// No token of ours is longer, and of others none need be.
const MAX_TOKEN: usize = 16 << 10;
/// Scopes that one token names at most.
const MAX_SCOPES: usize = 64;

/// Somebody else who gives out tokens for this registry.
#[derive(Debug)]
pub struct Issuer {
    /// The `iss` of its tokens.
    pub name: String,
    /// Where clients get tokens.
    pub realm: String,
    /// The `aud` of tokens for this registry.
    pub service: String,
    pub key: PublicKey,
}

/// A key that signatures are held against.
pub struct PublicKey {
    kind: Kind,
    bytes: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Rsa,
    P256,
    P384,
    Ed25519,
}

/// Why a file holds no key for us.
#[derive(Debug, thiserror::Error)]
pub enum InvalidKey {
    #[error("it is no PEM file with a public key (BEGIN PUBLIC KEY)")]
    Pem,
    #[error("its kind of key is not supported: RSA, P-256, P-384 and Ed25519 are")]
    Kind,
}

/// What a token allows.
#[derive(Debug, Deserialize)]
pub(crate) struct Granted {
    /// Whose token it is, where it says so.
    #[serde(default, rename = "sub")]
    pub(super) subject: String,
    #[serde(default)]
    access: Vec<Access>,
}

#[derive(Debug, Deserialize, Serialize)]
struct Access {
    #[serde(rename = "type")]
    kind: String,
    name: String,
    actions: Vec<String>,
}

#[derive(Deserialize)]
struct Claims {
    iss: Option<String>,
    aud: Option<Audience>,
    exp: Option<u64>,
    nbf: Option<u64>,
    #[serde(flatten)]
    granted: Granted,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

/// Signs our own tokens. Its key lives as long as the process: after a restart clients ask for new ones by themselves.
pub(crate) struct Signer(hmac::Key);

impl Granted {
    /// Whether it allows all of these actions on this.
    pub(super) fn allows(&self, kind: &str, name: &str, actions: &[&str]) -> bool {
        let about = |access: &&Access| access.kind == kind && access.name == name;
        let given = |wanted: &&str| {
            let mut about = self.access.iter().filter(about);
            about.any(|a| {
                a.actions
                    .iter()
                    .any(|action| action == wanted || action == "*")
            })
        };
        actions.iter().all(given)
    }
}

impl Signer {
    pub(super) fn fresh() -> Result<Signer, getrandom::Error> {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret)?;
        Ok(Signer(hmac::Key::new(hmac::HMAC_SHA256, &secret)))
    }

    /// The answer of the token endpoint. Without a user only reading is granted.
    pub(super) fn issue(&self, user: Option<&str>, scopes: &[&str]) -> Value {
        let now = seconds();
        let access: Vec<Access> = scopes
            .iter()
            .flat_map(|scope| scope.split(' '))
            .take(MAX_SCOPES)
            .filter_map(|scope| grant(scope, user.is_some()))
            .collect();
        let claims = json!({
            "iss": SERVICE, "aud": SERVICE, "sub": user.unwrap_or_default(),
            "iat": now, "nbf": now, "exp": now + LIFETIME, "access": access,
        });
        let head = URL_SAFE_NO_PAD.encode(br#"{"alg":"HS256","typ":"JWT"}"#);
        let body = URL_SAFE_NO_PAD.encode(claims.to_string());
        let signed = format!("{head}.{body}");
        let signature = URL_SAFE_NO_PAD.encode(hmac::sign(&self.0, signed.as_bytes()));
        let token = format!("{signed}.{signature}");
        json!({ "token": token, "access_token": token, "expires_in": LIFETIME })
    }

    /// What a token of ours allows, if it is one and still good.
    pub(super) fn verify(&self, token: &str) -> Option<Granted> {
        let parts = Parts::of(token)?;
        if parts.algorithm()? != "HS256" {
            return None;
        }
        hmac::verify(&self.0, parts.signed.as_bytes(), &parts.signature).ok()?;
        parts.granted(SERVICE, SERVICE)
    }
}

/// `type:name:action,action`; the name may hold colons.
fn grant(scope: &str, is_user: bool) -> Option<Access> {
    let (kind, rest) = scope.split_once(':')?;
    let (name, actions) = rest.rsplit_once(':')?;
    let allowed = |action: &&str| match kind {
        "repository" => *action == "pull" || is_user && ["push", "delete", "*"].contains(action),
        "registry" => name == "catalog" && *action == "*",
        _ => false,
    };
    Some(Access {
        kind: kind.to_owned(),
        name: name.to_owned(),
        actions: actions
            .split(',')
            .filter(allowed)
            .map(str::to_owned)
            .collect(),
    })
}

impl Issuer {
    /// What a token allows, if this issuer signed it for this registry and it is still good.
    pub(super) fn verify(&self, token: &str) -> Option<Granted> {
        let parts = Parts::of(token)?;
        // The key says which algorithms there can be; a token cannot choose another kind (nor `none`).
        let algorithm: &dyn VerificationAlgorithm =
            match (parts.algorithm()?.as_str(), self.key.kind) {
                ("RS256", Kind::Rsa) => &RSA_PKCS1_2048_8192_SHA256,
                ("RS384", Kind::Rsa) => &RSA_PKCS1_2048_8192_SHA384,
                ("RS512", Kind::Rsa) => &RSA_PKCS1_2048_8192_SHA512,
                ("ES256", Kind::P256) => &ECDSA_P256_SHA256_FIXED,
                ("ES384", Kind::P384) => &ECDSA_P384_SHA384_FIXED,
                ("EdDSA", Kind::Ed25519) => &ED25519,
                _ => return None,
            };
        UnparsedPublicKey::new(algorithm, &self.key.bytes)
            .verify(parts.signed.as_bytes(), &parts.signature)
            .ok()?;
        parts.granted(&self.name, &self.service)
    }
}

impl PublicKey {
    /// Reads `-----BEGIN PUBLIC KEY-----`.
    pub fn from_pem(pem: &[u8]) -> Result<PublicKey, InvalidKey> {
        const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
        const EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
        const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
        const P384: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x22];
        const ED25519: &[u8] = &[0x2b, 0x65, 0x70];
        let der = SubjectPublicKeyInfoDer::from_pem_slice(pem).map_err(|_| InvalidKey::Pem)?;
        let spki = der::spki(der.as_ref()).ok_or(InvalidKey::Pem)?;
        let kind = match (spki.algorithm, spki.curve) {
            (RSA, _) => Kind::Rsa,
            (EC, Some(P256)) => Kind::P256,
            (EC, Some(P384)) => Kind::P384,
            (ED25519, _) => Kind::Ed25519,
            _ => return Err(InvalidKey::Kind),
        };
        Ok(PublicKey {
            kind,
            bytes: spki.key.to_vec(),
        })
    }
}

impl std::fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PublicKey({:?})", self.kind)
    }
}

/// A token taken apart, nothing verified.
struct Parts<'t> {
    signed: &'t str,
    head: Vec<u8>,
    body: Vec<u8>,
    signature: Vec<u8>,
}

impl Parts<'_> {
    fn of(token: &str) -> Option<Parts<'_>> {
        if token.len() > MAX_TOKEN {
            return None;
        }
        let (signed, signature) = token.rsplit_once('.')?;
        let (head, body) = signed.split_once('.')?;
        let plain = |text: &str| URL_SAFE_NO_PAD.decode(text).ok();
        Some(Parts {
            signed,
            head: plain(head)?,
            body: plain(body)?,
            signature: plain(signature)?,
        })
    }

    fn algorithm(&self) -> Option<String> {
        let head: Value = serde_json::from_slice(&self.head).ok()?;
        // Extensions that must be understood are not.
        if head.get("crit").is_some() {
            return None;
        }
        Some(head.get("alg")?.as_str()?.to_owned())
    }

    /// What it grants, if it is from `issuer`, for `service`, and of this time. Ask only after the signature.
    fn granted(&self, issuer: &str, service: &str) -> Option<Granted> {
        let claims: Claims = serde_json::from_slice(&self.body).ok()?;
        let now = seconds();
        let ours = match claims.aud? {
            Audience::One(one) => one == service,
            Audience::Many(many) => many.iter().any(|one| one == service),
        };
        let in_time = claims.exp?.saturating_add(SKEW) > now
            && claims.nbf.is_none_or(|nbf| nbf <= now + SKEW);
        (ours && in_time && claims.iss.as_deref() == Some(issuer)).then_some(claims.granted)
    }
}

fn seconds() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
