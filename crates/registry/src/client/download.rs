//! A file at an address that a user named: no registry, so no credentials of one, no mirrors, and certificates are always
//! checked.

use std::borrow::Cow;

use bytes::Bytes;
use reqwest::header::{ACCEPT_ENCODING, HeaderMap, HeaderValue, LOCATION};
use reqwest::{Method, Response, StatusCode, Url};

use super::endpoint::{Finder, host_of};
use super::error::{Error, Kind, Result, status_text};
use super::exchange::complaint;
use super::pace::Pacer;
use super::{Client, transport};

/// Redirects in a row.
const MOST_REDIRECTS: usize = 10;
const STEP: &str = "download";

/// A file on its way. How much comes is for whoever takes it to bound.
#[derive(Debug)]
pub struct Download {
    response: Response,
    pacer: Pacer,
    host: String,
}

impl Client {
    /// Asks for what is at an `http` or `https` address. Redirects are followed, but never from TLS to none. Name and
    /// password of the address are for its own server alone.
    pub async fn download(&self, address: &str) -> Result<Download> {
        let given = Url::parse(address)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
            .ok_or_else(|| no_address(address))?;
        let mut url = bare(given.clone());
        for _ in 0..=MOST_REDIRECTS {
            let host = host_of(&url);
            let told = |error: Error| error.at(&host, STEP);
            let response = self.get(&with_login_of(&given, &url)).await.map_err(told)?;
            let status = response.status();
            if status.is_redirection() && response.headers().contains_key(LOCATION) {
                url = target(&url, response.headers()).map_err(told)?;
                continue;
            }
            if !status.is_success() {
                return Err(told(complaint(response).await));
            }
            if status != StatusCode::OK {
                // A part (206), or nothing at all (204).
                let what = format!("unexpected status: {}", status_text(status.as_u16()));
                return Err(told(Error::lied(what).with_status(status.as_u16())));
            }
            let pacer = transport::pacer(&response).map_err(told)?;
            return Ok(Download {
                response,
                pacer,
                host,
            });
        }
        let what = format!("it redirects more than {MOST_REDIRECTS} times");
        Err(Error::lied(what).at(&host_of(&url), STEP))
    }

    async fn get(&self, url: &Url) -> Result<Response> {
        let shared = &self.shared;
        let finder = Finder {
            settings: &shared.settings,
            transports: &shared.transports,
        };
        let material = finder.folder_material(&host_of(url))?;
        let pool = shared.transports.pool(&shared.settings, &material)?;
        let request = pool
            .request(Method::GET, url.clone())
            .header(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        pool.send(request, 0).await
    }
}

impl Download {
    /// How many bytes there are, where the server says it.
    pub fn size(&self) -> Option<u64> {
        self.response.content_length()
    }

    /// The next bytes; `None` at the end, which is the one that the server announced.
    pub async fn next(&mut self) -> Result<Option<Bytes>> {
        let came = self.pacer.wait(self.response.chunk()).await;
        let came = came.and_then(|came| came.map_err(transport::failed));
        let chunk = came.map_err(|error| error.at(&self.host, STEP))?;
        self.pacer.came(chunk.as_ref().map_or(0, Bytes::len));
        Ok(chunk)
    }
}

fn no_address(address: &str) -> Error {
    let what = format!(
        "{:?} is no address of a web server: it must be http://HOST/... or https://HOST/...",
        without_login(address)
    );
    Error::new(Kind::Unsupported, what)
}

/// An address as others may read it: without the name and password that may be in it.
pub fn without_login(address: &str) -> Cow<'_, str> {
    match Url::parse(address) {
        Ok(url) if url.username().is_empty() && url.password().is_none() => Cow::Borrowed(address),
        Ok(url) if url.has_host() => Cow::Owned(String::from(bare(url))),
        // What cannot be read may be anything up to the last sign that ends a password.
        _ => match (address.split_once("://"), address.rsplit_once('@')) {
            (Some((scheme, _)), Some((_, rest))) => Cow::Owned(format!("{scheme}://{rest}")),
            (None, Some((_, rest))) => Cow::Borrowed(rest),
            (_, None) => Cow::Borrowed(address),
        },
    }
}

fn bare(mut url: Url) -> Url {
    // Only addresses without a host refuse, and those have neither.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url
}

/// `url` with name and password of the given address, if it is of the same server.
fn with_login_of(given: &Url, url: &Url) -> Url {
    let mut asked = url.clone();
    if given.origin() == url.origin() {
        let _ = asked.set_username(given.username());
        let _ = asked.set_password(given.password());
    }
    asked
}

/// Where a redirect leads, if that is somewhere to go.
fn target(from: &Url, headers: &HeaderMap) -> Result<Url> {
    let invalid = || Error::lied("it redirects to something that is no URL");
    let text = headers.get(LOCATION).and_then(|text| text.to_str().ok());
    let url = from.join(text.ok_or_else(invalid)?);
    let url = url.map_err(|_| invalid())?;
    let known = matches!(url.scheme(), "http" | "https");
    if !known || !url.username().is_empty() || url.password().is_some() {
        return Err(invalid());
    }
    if from.scheme() == "https" && url.scheme() == "http" {
        return Err(Error::lied(format!(
            "it redirects to {} without TLS",
            host_of(&url)
        )));
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logins_are_told_to_nobody_but_their_server() {
        for (address, told) in [
            ("http://a/b", "http://a/b"),
            ("http://A/b@c", "http://A/b@c"),
            ("http://user:word@a:1/b", "http://a:1/b"),
            ("http://user@a/b", "http://a/b"),
            ("https:///us%40er:word@a/b", "https://a/b"),
            ("ftp://user:word@a/b", "ftp://a/b"),
            ("http://user:word@[::1", "http://[::1"),
            ("http://user:word@", "http://"),
        ] {
            assert_eq!(without_login(address), told, "{address}");
        }
        let given = Url::parse("http://us%40er:wo%3Ard@a/b").unwrap();
        let login = |to: &str| with_login_of(&given, &Url::parse(to).unwrap()).to_string();
        assert_eq!(login("http://a/c"), "http://us%40er:wo%3Ard@a/c");
        for other in ["http://d/c", "https://a/c", "http://a:81/c"] {
            assert_eq!(login(other), other);
        }
    }

    #[test]
    fn redirects_keep_to_tls_and_to_the_web() {
        let check = |from: &str, to: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(LOCATION, HeaderValue::from_str(to).unwrap());
            target(&Url::parse(from).unwrap(), &headers).map(|url| url.to_string())
        };
        let good = |from: &str, to: &str| check(from, to).unwrap();
        assert_eq!(good("http://a/b", "/c"), "http://a/c");
        assert_eq!(good("http://a/b", "https://d/e"), "https://d/e");
        assert_eq!(good("https://a/b", "//d/e"), "https://d/e");
        for (from, to) in [
            ("https://a/b", "http://a/b"),
            ("http://a/b", "file:///etc/passwd"),
            ("http://a/b", "http://user:word@c/"),
        ] {
            assert!(check(from, to).is_err(), "{to}");
        }
    }
}
