//! Names and passwords as Apache's htpasswd writes them, bcrypt only (`htpasswd -B`), like distribution's registry.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError, RwLock, RwLockReadGuard};
use std::time::{Duration, Instant};

use ring::hmac;
use tokio::sync::Semaphore;

/// Who may log in.
pub struct Htpasswd {
    users: RwLock<HashMap<String, String>>,
    /// Passwords that were right lately, as keyed hashes: bcrypt costs a tenth of a second, a push has hundreds of requests.
    right: Mutex<HashMap<[u8; 32], Instant>>,
    key: hmac::Key,
    /// So that guessing cannot take all threads.
    checking: Semaphore,
}

/// Why a file is no htpasswd file for us.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidHtpasswd {
    #[error("line {0} is not NAME:HASH")]
    Line(usize),
    #[error("line {0}: only bcrypt hashes are supported (htpasswd -B)")]
    NoBcrypt(usize),
    #[error("it names nobody")]
    Empty,
    #[error("no random numbers")]
    Random,
}

const REMEMBERED: Duration = Duration::from_secs(300);
const MOST_REMEMBERED: usize = 10_000;

impl std::fmt::Debug for Htpasswd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Htpasswd({} users)", self.users().len())
    }
}

impl Htpasswd {
    pub fn parse(text: &str) -> Result<Htpasswd, InvalidHtpasswd> {
        let users = read(text)?;
        let mut secret = [0; 32];
        getrandom::fill(&mut secret).map_err(|_| InvalidHtpasswd::Random)?;
        Ok(Htpasswd {
            users: RwLock::new(users),
            right: Mutex::default(),
            key: hmac::Key::new(hmac::HMAC_SHA256, &secret),
            checking: Semaphore::new(2),
        })
    }

    /// Takes what a file says now in place of what it said; with an error all stays as it is.
    pub fn replace(&self, text: &str) -> Result<(), InvalidHtpasswd> {
        let users = read(text)?;
        *self.users.write().unwrap_or_else(PoisonError::into_inner) = users;
        // Whoever is gone, or has another password, is not known by the old one.
        let mut right = self.right.lock().unwrap_or_else(PoisonError::into_inner);
        right.clear();
        Ok(())
    }

    fn users(&self) -> RwLockReadGuard<'_, HashMap<String, String>> {
        self.users.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the password is this user's.
    pub(crate) async fn verify(&self, user: &str, password: &str) -> bool {
        let mark = self.mark(user, password);
        if self.is_remembered(&mark) {
            return true;
        }
        let Ok(_turn) = self.checking.acquire().await else {
            return false;
        };
        let known = self.users().get(user).cloned();
        let known_before = known.clone();
        let password = password.to_owned();
        let checked = tokio::task::spawn_blocking(move || match known {
            Some(hash) => bcrypt::verify(password, &hash).unwrap_or(false),
            // As long as it takes for a user that is there, so that the time does not tell who is.
            None => {
                drop(bcrypt::verify(password, NOBODY));
                false
            }
        });
        let right = checked.await.unwrap_or(false);
        // Unless he was taken out meanwhile.
        if right && self.users().get(user) == known_before.as_ref() {
            self.remember(mark);
        }
        right
    }

    fn mark(&self, user: &str, password: &str) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(&(user.len() as u64).to_le_bytes());
        context.update(user.as_bytes());
        context.update(password.as_bytes());
        let mut mark = [0; 32];
        mark.copy_from_slice(context.sign().as_ref());
        mark
    }

    fn is_remembered(&self, mark: &[u8; 32]) -> bool {
        let right = self.right.lock().unwrap_or_else(PoisonError::into_inner);
        right.get(mark).is_some_and(|at| at.elapsed() < REMEMBERED)
    }

    fn remember(&self, mark: [u8; 32]) {
        let mut right = self.right.lock().unwrap_or_else(PoisonError::into_inner);
        if right.len() >= MOST_REMEMBERED {
            right.clear();
        }
        right.insert(mark, Instant::now());
    }
}

fn read(text: &str) -> Result<HashMap<String, String>, InvalidHtpasswd> {
    let mut users = HashMap::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (user, hash) = line
            .split_once(':')
            .ok_or(InvalidHtpasswd::Line(index + 1))?;
        if !["$2a$", "$2b$", "$2x$", "$2y$"]
            .iter()
            .any(|p| hash.starts_with(p))
        {
            return Err(InvalidHtpasswd::NoBcrypt(index + 1));
        }
        users.insert(user.to_owned(), hash.to_owned());
    }
    if users.is_empty() {
        return Err(InvalidHtpasswd::Empty);
    }
    Ok(users)
}

/// A hash that no password of ours has.
const NOBODY: &str = "$2b$10$abcdefghijklmnopqrstuuN9qo8uLOickgx2ZMRZoMyeIjZAgcfl7";
