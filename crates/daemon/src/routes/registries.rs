//! What goes to registries and comes from there: pull, push, login, search.

use std::panic::AssertUnwindSafe;

use api::types::progress::{Progress, ProgressDetail};
use api::types::registry::{
    AUTH_HEADER, AuthConfig, AuthResponse, DistributionInspect, SearchResult,
};
use engine::{
    Candidates, Credentials, Found, PullRequest, PushRequest, Report, Reporter, SearchRequest,
};
use futures_util::FutureExt as _;
use oci::{Digest, Reference};
use tokio::sync::mpsc;

use super::images::{line, platform};
use super::{Call, Reply};
use crate::convert::progress_bar;
use crate::http::body::{self, Sender};
use crate::http::failure::Failure;
use crate::http::filters::Filters;
use crate::http::read;
use crate::http::version::ApiVersion;

/// Reports that wait for a slow client.
const AHEAD: usize = 64;
/// Docker Hub by its name in image names; clients log in to it by an address of its old index.
const HUB: &str = "docker.io";
/// How many repositories a search gives when nobody says, and at most.
const FOUND: i64 = 25;
const MOST_FOUND: i64 = 100;

/// `POST /images/create?fromImage=`: an error before the first word is a status of its own.
pub(super) async fn pull(call: Call) -> Reply {
    let (image, tag) = (call.query.text("fromImage"), call.query.text("tag"));
    let names = candidates(&call, image, &call.app.config().registries.unqualified)?;
    let tagged = |(name, credentials)| Ok((pulled_name(name, tag)?, credentials));
    let names = names.into_iter().map(tagged);
    let names = names.collect::<Result<Candidates, Failure>>()?;
    let request = PullRequest {
        all_tags: names.iter().all(|(name, _)| name.is_name_only()),
        names,
        platform: platform(&call)?,
    };
    let engine = call.app.engine.clone();
    let (reporter, reports) = Reporter::new(AHEAD);
    let work = async move { engine.pull(request, &reporter).await };
    told(work, reports, call.version).await
}

/// The name with what `tag` says, which may be a digest.
fn pulled_name(name: Reference, tag: &str) -> Result<Reference, Failure> {
    if name.name() == "docker.io/library/scratch" {
        return Err(Failure::bad_request("'scratch' is a reserved name"));
    }
    if tag.is_empty() {
        return Ok(name);
    }
    match tag.parse::<Digest>() {
        Ok(digest) => Ok(name.without_tag().with_digest(digest)),
        Err(_) => Ok(name.without_digest().with_tag(tag)?),
    }
}

/// `POST /images/{name}/push`: without a tag all tags of the name go.
pub(super) async fn push(call: Call) -> Reply {
    // What has a tag without a registry's name is Docker Hub's by name, so that is looked for last.
    let mut domains = call.app.config().registries.unqualified.clone();
    domains.push(HUB.to_owned());
    let mut names = candidates(&call, call.name(), &domains)?;
    let tag = call.query.text("tag");
    for (name, _) in &mut names {
        if name.digest().is_some() {
            return Err(Failure::bad_request("cannot push a digest reference"));
        }
        if !tag.is_empty() {
            *name = name.with_tag(tag)?;
        }
    }
    let request = PushRequest {
        names,
        platform: platform(&call)?,
    };
    let engine = call.app.engine.clone();
    let (reporter, reports) = Reporter::new(AHEAD);
    let work = async move { engine.push(request, &reporter).await };
    told(work, reports, call.version).await
}

/// Waits for the first report. From then on the status is 200, and an error is a line among the others. The work ends when
/// the client goes away.
async fn told<W>(work: W, mut reports: mpsc::Receiver<Report>, version: ApiVersion) -> Reply
where
    W: Future<Output = engine::Result<()>> + Send + 'static,
{
    let mut work = Box::pin(guarded(work));
    let (mut first, mut ended) = (None, None);
    tokio::select! {
        biased;
        report = reports.recv() => first = report,
        outcome = &mut work => ended = Some(outcome),
    }
    // What ends at once may have said something before.
    if first.is_none() {
        first = reports.try_recv().ok();
    }
    match (&first, ended) {
        (None, Some(Err(error))) => return Err(error.into()),
        (_, outcome) => ended = outcome,
    }
    Ok(body::produced(body::JSON, move |sender| async move {
        let telling = async {
            while let Some(report) = match first.take() {
                Some(first) => Some(first),
                None => reports.recv().await,
            } {
                if !say(&sender, report, version).await {
                    return;
                }
            }
        };
        let outcome = match ended {
            Some(outcome) => {
                telling.await;
                outcome
            }
            None => tokio::join!(telling, work).1,
        };
        if let Err(error) = outcome {
            let failure = Failure::from(error);
            let line = line(&Progress::failure(failure.message));
            let _gone = sender.send(Ok(line)).await;
        }
    }))
}

/// A fault of ours is not to look like a good end of the stream.
async fn guarded<W>(work: W) -> engine::Result<()>
where
    W: Future<Output = engine::Result<()>>,
{
    let fault = "a fault of the daemon broke it off; the daemon's log says more";
    let outcome = AssertUnwindSafe(work).catch_unwind().await;
    outcome.unwrap_or_else(|_| Err(engine::Error::new(engine::ErrorKind::System, fault)))
}

async fn say(sender: &Sender, report: Report, version: ApiVersion) -> bool {
    sender
        .send(Ok(line(&progress(report, version))))
        .await
        .is_ok()
}

fn progress(report: Report, version: ApiVersion) -> Progress {
    let signed = |n| i64::try_from(n).unwrap_or(i64::MAX);
    match report {
        Report::Line { id, text } => Progress {
            status: text,
            id: id.unwrap_or_default(),
            ..Default::default()
        },
        Report::Layer {
            id,
            status,
            position,
        } => Progress {
            status,
            id,
            progress_detail: Some(position.map_or_else(
                ProgressDetail::default,
                |(done, total)| ProgressDetail {
                    current: signed(done),
                    total: signed(total),
                    ..ProgressDetail::default()
                },
            )),
            // Docker sends the bar as text up to 1.51.
            progress: match position {
                Some((done, total)) if !version.at_least(52) => progress_bar::bar(done, total),
                _ => String::new(),
            },
            ..Default::default()
        },
        Report::Alone { index, pushed } => Progress {
            aux: Some(serde_json::json!({
                "manifestPushedInsteadOfIndex": true,
                "originalIndex": index,
                "selectedManifest": pushed,
            })),
            ..Progress::default()
        },
        Report::Pushed { tag, digest, size } => Progress {
            progress_detail: Some(ProgressDetail::default()),
            aux: Some(serde_json::json!({ "Tag": tag, "Digest": digest, "Size": size })),
            ..Default::default()
        },
    }
}

/// The header's credentials. One that cannot be read is none, as in Docker.
fn credentials(call: &Call) -> Credentials {
    auth(call).map(who).unwrap_or_default()
}

/// What a name may mean. Credentials go along to the registry that they are for: the one in the name or, where the name has
/// none, the one that the credentials say, which is Docker Hub for clients that know nothing of others.
fn candidates(call: &Call, text: &str, domains: &[String]) -> Result<Candidates, Failure> {
    let plain = Reference::parse(text)?;
    // Docker's client says docker.io where the user named no registry, so the two are the same here.
    let names = Reference::candidates(&plain.familiar(), domains)?;
    let several = names.len() > 1;
    let given = credentials(call);
    let address = auth(call).map(|auth| auth.server_address);
    let domain = registry_of(&address.unwrap_or_default());
    let with = |name: Reference| {
        let is_theirs = (!several && name == plain) || name.domain() == domain;
        let credentials = if is_theirs {
            given.clone()
        } else {
            Credentials::None
        };
        (name, credentials)
    };
    Ok(names.into_iter().map(with).collect())
}

/// The header, if it can be read.
fn auth(call: &Call) -> Option<AuthConfig> {
    let header = call.headers.get(AUTH_HEADER)?.to_str().ok()?;
    AuthConfig::from_header(header).ok()
}

fn who(auth: AuthConfig) -> Credentials {
    if !auth.registry_token.is_empty() {
        return Credentials::RegistryToken(auth.registry_token);
    }
    if !auth.identity_token.is_empty() {
        return Credentials::IdentityToken(auth.identity_token);
    }
    let (user, password) = match old_form(&auth.auth) {
        Some(both) if auth.username.is_empty() => both,
        _ => (auth.username, auth.password),
    };
    if user.is_empty() && password.is_empty() {
        return Credentials::None;
    }
    Credentials::Basic { user, password }
}

/// `user:password` in base64.
fn old_form(auth: &str) -> Option<(String, String)> {
    use base64::Engine as _;
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(auth)
        .ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let (user, password) = text.split_once(':')?;
    Some((user.to_owned(), password.trim_matches('\0').to_owned()))
}

/// `POST /auth`.
pub(super) async fn login(call: Call) -> Reply {
    let auth: AuthConfig = read::json_or_default(&call.headers, call.body).await?;
    let domain = registry_of(&auth.server_address);
    let logged_in = call.app.engine.login(&domain, &who(auth)).await?;
    body::json(&AuthResponse {
        status: "Login Succeeded".to_owned(),
        identity_token: logged_in.identity_token.unwrap_or_default(),
    })
}

/// The registry that a server's address means: `https://index.docker.io/v1/` is Docker Hub.
fn registry_of(address: &str) -> String {
    let host = address
        .strip_prefix("https://")
        .or_else(|| address.strip_prefix("http://"))
        .unwrap_or(address);
    match host.split('/').next().unwrap_or_default() {
        "" | "index.docker.io" | "registry-1.docker.io" | HUB => HUB.to_owned(),
        host => host.to_owned(),
    }
}

/// `GET /distribution/{name}/json`.
pub(super) async fn distribution(call: Call) -> Reply {
    if call.name().parse::<Digest>().is_ok() {
        return Err(Failure::bad_request("no manifest found for full image ID"));
    }
    let domains = call.app.config().registries.unqualified.clone();
    let names = candidates(&call, call.name(), &domains)?.into_iter();
    let names = names.map(|(name, credentials)| (name.or_latest(), credentials));
    let found = call.app.engine.distribution(&names.collect()).await?;
    body::json(&DistributionInspect {
        descriptor: found.descriptor,
        platforms: found.platforms,
    })
}

/// `GET /images/search`.
pub(super) async fn search(call: Call) -> Reply {
    let filters = Filters::from_query(&call.query)?;
    filters.only(&["is-automated", "is-official", "stars"])?;
    let limit = limit(call.query.text("limit"))?;
    let (automated, official) = (
        filters.switch("is-automated")?,
        filters.switch("is-official")?,
    );
    let stars = stars(filters.get("stars"))?;
    let request = SearchRequest {
        term: call.query.text("term").to_owned(),
        limit: usize::try_from(limit).unwrap_or_default(),
        credentials: credentials(&call),
    };
    let found = call.app.engine.search(&request).await?;
    let wanted = |one: &Found| {
        automated.is_none_or(|wanted| one.is_automated == wanted)
            && official.is_none_or(|wanted| one.is_official == wanted)
            && one.star_count >= stars
    };
    let shown: Vec<SearchResult> = found.into_iter().filter(wanted).map(result).collect();
    body::json(&shown)
}

fn result(found: Found) -> SearchResult {
    SearchResult {
        star_count: found.star_count,
        is_official: found.is_official,
        name: found.name,
        is_automated: found.is_automated,
        description: found.description,
    }
}

fn limit(text: &str) -> Result<i64, Failure> {
    let limit = match text {
        "" => FOUND,
        text => text
            .parse()
            .map_err(|_| Failure::bad_request(format!("invalid limit {text:?}")))?,
    };
    match limit {
        0 => Ok(FOUND),
        1..=MOST_FOUND => Ok(limit),
        _ => Err(Failure::bad_request(format!(
            "limit {limit} is outside the range of [1, {MOST_FOUND}]"
        ))),
    }
}

/// Of several numbers the largest decides.
fn stars(texts: &[String]) -> Result<i64, Failure> {
    let mut stars = 0;
    for text in texts {
        let number: i64 = text
            .parse()
            .map_err(|_| Failure::bad_request(format!("invalid filter 'stars={text}'")))?;
        stars = stars.max(number);
    }
    Ok(stars)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_to_pull() {
        let check = |image, tag, expect: &str| {
            let name = Reference::parse(image).unwrap();
            assert_eq!(pulled_name(name, tag).unwrap().canonical(), expect);
        };
        check("busybox", "", "docker.io/library/busybox");
        check("busybox", "1", "docker.io/library/busybox:1");
        check("h:5000/a:2", "", "h:5000/a:2");
        let digest = format!("sha256:{}", "0".repeat(64));
        check("a", &digest, &format!("docker.io/library/a@{digest}"));
        assert!(pulled_name("scratch".parse().unwrap(), "latest").is_err());
    }

    #[test]
    fn registries_of_addresses() {
        assert_eq!(registry_of("https://index.docker.io/v1/"), HUB);
        assert_eq!(registry_of("http://h:5000/v2/"), "h:5000");
        assert_eq!(registry_of("h:5000"), "h:5000");
    }

    #[test]
    fn limits() {
        assert_eq!(limit("").unwrap(), 25);
        assert_eq!(limit("0").unwrap(), 25);
        assert_eq!(
            limit("101").unwrap_err().message,
            "limit 101 is outside the range of [1, 100]"
        );
    }

    #[test]
    fn the_old_form_of_credentials() {
        let auth = AuthConfig {
            auth: "dTpw".into(),
            ..AuthConfig::default()
        };
        assert_eq!(
            who(auth),
            Credentials::Basic {
                user: "u".into(),
                password: "p".into()
            }
        );
    }
}
