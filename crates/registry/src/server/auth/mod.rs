//! Who may do what.
//!
//! Three ways: everybody may everything; names and passwords from an htpasswd file, sent with each request (Basic);
//! bearer tokens (the token protocol of distribution), which this registry gives out itself to who is in the htpasswd
//! file, or which somebody else signs. A user that is known may do all that the registry as such allows.

mod der;
mod htpasswd;
mod token;

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, Method, header};

pub use htpasswd::{Htpasswd, InvalidHtpasswd};
pub(crate) use token::{Granted, Signer};
pub use token::{InvalidKey, Issuer, PublicKey};

use super::name::Name;
use super::target::Target;

/// How clients show who they are.
#[derive(Debug)]
pub enum Auth {
    /// They need not.
    Open,
    /// Name and password with every request.
    Basic {
        users: Arc<Htpasswd>,
        readers: Readers,
    },
    /// Tokens that this registry gives out at `/token`.
    OwnTokens {
        users: Arc<Htpasswd>,
        readers: Readers,
    },
    /// Tokens that somebody else gives out.
    ForeignTokens(Issuer),
}

/// Who may read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readers {
    /// Only who has logged in.
    Users,
    Anyone,
}

/// What a request wants to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Only to know whether it may come in.
    Enter,
    Pull,
    Push,
    Delete,
    Catalog,
    /// To look at the web page or at metrics.
    Look,
}

/// Why it may not.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Denied {
    /// The value of `WWW-Authenticate`: how to come back.
    Challenge(String),
    Never(&'static str),
}

/// The door: [`Auth`] with what it keeps while the registry runs.
pub(crate) struct Door {
    auth: Auth,
    signer: Option<Signer>,
}

/// The name that our own tokens are for.
pub(crate) const SERVICE: &str = "tare-registry";

impl Action {
    pub(crate) fn of(target: &Target, method: &Method) -> Action {
        match target {
            Target::Base | Target::Token => Action::Enter,
            Target::Catalog => Action::Catalog,
            Target::Metrics | Target::Home | Target::Page(_) | Target::ManifestPage(..) => {
                Action::Look
            }
            // An upload's state and end belong to the push.
            Target::Uploads(_) | Target::Upload(..) => Action::Push,
            _ => match *method {
                Method::GET | Method::HEAD | Method::OPTIONS => Action::Pull,
                Method::DELETE => Action::Delete,
                _ => Action::Push,
            },
        }
    }

    /// The actions that a token must name.
    fn words(self) -> &'static [&'static str] {
        match self {
            Action::Enter | Action::Look => &[],
            Action::Pull => &["pull"],
            Action::Push => &["pull", "push"],
            Action::Delete => &["delete"],
            Action::Catalog => &["*"],
        }
    }

    fn reads(self) -> bool {
        matches!(
            self,
            Action::Enter | Action::Pull | Action::Catalog | Action::Look
        )
    }
}

impl Door {
    pub(crate) fn new(auth: Auth) -> Result<Door, getrandom::Error> {
        let signer = match &auth {
            Auth::OwnTokens { .. } => Some(Signer::fresh()?),
            _ => None,
        };
        Ok(Door { auth, signer })
    }

    /// Whether the request may do this to the repository. `base` is how the client reaches us, such as
    /// `https://host:port`.
    pub(crate) async fn check(
        &self,
        headers: &HeaderMap,
        action: Action,
        name: Option<&Name>,
        base: &str,
    ) -> Result<(), Denied> {
        match &self.auth {
            Auth::Open => Ok(()),
            Auth::Basic { users, readers } => {
                // A client that logs in asks `/v2/` whether its password is right, also where anyone may read.
                let anonymous = !headers.contains_key(header::AUTHORIZATION);
                if anonymous && *readers == Readers::Anyone && action.reads() {
                    return Ok(());
                }
                basic(users, headers).await
            }
            Auth::OwnTokens { users, readers } if action == Action::Look => {
                if *readers == Readers::Anyone {
                    return Ok(());
                }
                basic(users, headers).await
            }
            Auth::OwnTokens { .. } => {
                let realm = format!("{base}/token");
                let granted = bearer(headers)
                    .and_then(|token| self.signer.as_ref().and_then(|s| s.verify(token)));
                admit(granted.as_ref(), action, name, &realm, SERVICE)
            }
            Auth::ForeignTokens(_) if action == Action::Look => Err(Denied::Never(
                "the web page and metrics are not shown where tokens come from another issuer; use --metrics-addr",
            )),
            Auth::ForeignTokens(issuer) => {
                let granted = bearer(headers).and_then(|token| issuer.verify(token));
                admit(
                    granted.as_ref(),
                    action,
                    name,
                    &issuer.realm,
                    &issuer.service,
                )
            }
        }
    }

    /// Who the request says that he is, for the log: a name beside a password, or that in a token which is good.
    pub(crate) fn who(&self, headers: &HeaderMap) -> Option<String> {
        if let Auth::Open = self.auth {
            return None;
        }
        if let Some((user, _)) = basic_credentials(headers) {
            return Some(user);
        }
        let token = bearer(headers)?;
        let granted = match &self.auth {
            Auth::OwnTokens { .. } => self.signer.as_ref()?.verify(token)?,
            Auth::ForeignTokens(issuer) => issuer.verify(token)?,
            _ => return None,
        };
        Some(granted.subject).filter(|subject| !subject.is_empty())
    }

    /// The answer of `/token` to who asks for `scopes`: a token for what they may do; `None` when no tokens are given
    /// out here.
    pub(crate) async fn issue(
        &self,
        credentials: Option<(&str, &str)>,
        scopes: &[&str],
    ) -> Option<Result<serde_json::Value, Denied>> {
        let (Auth::OwnTokens { users, readers }, Some(signer)) = (&self.auth, &self.signer) else {
            return None;
        };
        let challenge = || Denied::Challenge(BASIC.to_owned());
        let subject = match credentials {
            Some((user, password)) => {
                if !users.verify(user, password).await {
                    return Some(Err(challenge()));
                }
                Some(user)
            }
            None if *readers == Readers::Anyone => None,
            None => return Some(Err(challenge())),
        };
        Some(Ok(signer.issue(subject, scopes)))
    }
}

const BASIC: &str = "Basic realm=\"tare registry\"";

async fn basic(users: &Htpasswd, headers: &HeaderMap) -> Result<(), Denied> {
    let challenge = || Denied::Challenge(BASIC.to_owned());
    let (user, password) = basic_credentials(headers).ok_or_else(challenge)?;
    if users.verify(&user, &password).await {
        Ok(())
    } else {
        Err(challenge())
    }
}

/// Name and password of a Basic `Authorization`.
pub(crate) fn basic_credentials(headers: &HeaderMap) -> Option<(String, String)> {
    let coded = scheme(headers, "basic")?;
    let plain = String::from_utf8(STANDARD.decode(coded).ok()?).ok()?;
    let (user, password) = plain.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    scheme(headers, "bearer")
}

fn scheme<'h>(headers: &'h HeaderMap, wanted: &str) -> Option<&'h str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, rest) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case(wanted).then(|| rest.trim())
}

fn admit(
    granted: Option<&Granted>,
    action: Action,
    name: Option<&Name>,
    realm: &str,
    service: &str,
) -> Result<(), Denied> {
    let (kind, what) = match (action, name) {
        (Action::Catalog, _) => ("registry", "catalog"),
        (_, Some(name)) => ("repository", name.as_str()),
        (_, None) => ("", ""),
    };
    let words = action.words();
    if granted.is_some_and(|granted| granted.allows(kind, what, words)) {
        return Ok(());
    }
    let mut challenge = format!("Bearer realm=\"{realm}\",service=\"{service}\"");
    if !words.is_empty() {
        challenge.push_str(&format!(",scope=\"{kind}:{what}:{}\"", words.join(",")));
    }
    if granted.is_some() {
        challenge.push_str(",error=\"insufficient_scope\"");
    }
    Err(Denied::Challenge(challenge))
}
