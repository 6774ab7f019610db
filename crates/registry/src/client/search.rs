//! Looking for repositories: the index's search (Docker Hub), or that of a registry which has one (`/v1/search`).

use oci::MAX_DOCUMENT;
use reqwest::header::AUTHORIZATION;
use reqwest::{Method, Url};
use serde::Deserialize;

use super::Shared;
use super::auth::basic;
use super::body;
use super::endpoint::{Endpoint, Finder};
use super::error::{Error, Kind, Result, printable};
use super::exchange::complaint;
use super::settings::{Access, Credentials};

/// The index beside Docker Hub's registry.
const HUB: &str = "docker.io";
const HUB_INDEX: &str = "https://index.docker.io/v1/search";

/// A repository that was found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Found {
    #[serde(default)]
    pub name: String,
    #[serde(default, deserialize_with = "or_empty")]
    pub description: String,
    #[serde(default)]
    pub star_count: i64,
    #[serde(default)]
    pub is_official: bool,
    #[serde(default)]
    pub is_automated: bool,
}

fn or_empty<'de, D: serde::Deserializer<'de>>(from: D) -> std::result::Result<String, D::Error> {
    Ok(Option::<String>::deserialize(from)?.unwrap_or_default())
}

#[derive(Deserialize)]
struct Results {
    #[serde(default)]
    results: Option<Vec<Found>>,
}

/// What is looked for, and where.
pub struct Query<'a> {
    /// The registry, `docker.io` for Docker Hub.
    pub domain: &'a str,
    pub term: &'a str,
    pub limit: usize,
}

pub(super) async fn search(
    shared: &Shared,
    query: &Query<'_>,
    credentials: &Credentials,
) -> Result<Vec<Found>> {
    let finder = Finder {
        settings: &shared.settings,
        transports: &shared.transports,
    };
    let endpoints = finder.endpoints(query.domain, Access::Pull).await?;
    let mut failed = None;
    for endpoint in endpoints.iter().filter(|endpoint| endpoint.is_origin) {
        match index(endpoint, query, credentials).await {
            Err(error) if error.kind() == Kind::Unreachable => {
                failed = Some(error.at(&endpoint.host(), "search"));
            }
            other => return other.map_err(|e| e.at(&endpoint.host(), "search")),
        }
    }
    Err(failed.unwrap_or_else(|| Error::local(format!("{} cannot be searched", query.domain))))
}

async fn index(
    endpoint: &Endpoint,
    query: &Query<'_>,
    credentials: &Credentials,
) -> Result<Vec<Found>> {
    let mut url = if query.domain == HUB {
        Url::parse(HUB_INDEX).map_err(|e| Error::local("the index's URL").caused_by(e))?
    } else {
        let mut url = endpoint.base.clone();
        url.set_path("/v1/search");
        url
    };
    url.query_pairs_mut()
        .append_pair("q", query.term)
        .append_pair("n", &query.limit.to_string());
    let mut request = endpoint.pool.request(Method::GET, url);
    if let Credentials::Basic { user, password } = credentials {
        request = request.header(AUTHORIZATION, basic(user, password)?);
    }
    let response = endpoint.pool.send(request, 0).await?;
    if !response.status().is_success() {
        let status = response.status().as_u16();
        let error = complaint(response).await;
        // A registry that cannot be searched, in Docker's words.
        return Err(
            match error.answers().is_empty() || error.kind() == Kind::NotFound {
                true => Error::new(error.kind(), format!("Unexpected status code {status}"))
                    .with_status(status)
                    .beginning(""),
                false => error,
            },
        );
    }
    let bytes = body::whole(response, MAX_DOCUMENT).await?;
    let results: Results = serde_json::from_slice(&bytes)
        .map_err(|e| Error::lied("the index's answer is not understood").caused_by(e))?;
    let mut found = results.results.unwrap_or_default();
    found.truncate(query.limit);
    for one in &mut found {
        one.name = printable(&one.name, 300);
        one.description = printable(&one.description, 2_000);
    }
    Ok(found)
}
