//! `/token`: bearer tokens for who is in the htpasswd file, by GET with Basic or by an OAuth2 form.

use std::sync::Arc;

use http::{Method, StatusCode, header};

use super::{Answer, Asked, json, put_header, read};
use crate::server::Registry;
use crate::server::auth::basic_credentials;
use crate::server::failure::Failure;
use crate::server::query::Query;

const MAX_FORM: usize = 64 << 10;

pub(super) async fn give(registry: &Arc<Registry>, asked: Asked) -> Answer {
    let (credentials, query) = match asked.method {
        Method::GET => {
            // A password that cannot be read is a wrong one, not none.
            let given = asked.headers.contains_key(header::AUTHORIZATION);
            let read = basic_credentials(&asked.headers);
            (given.then(|| read.unwrap_or_default()), asked.query)
        }
        Method::POST => {
            let bytes =
                read::whole(&asked.headers, asked.body, MAX_FORM, registry.patience).await?;
            let form = Query::parse(&String::from_utf8_lossy(&bytes));
            (Some(password_grant(&form)?), form)
        }
        _ => {
            return Err(Failure::unsupported(
                "tokens are asked for with GET or POST",
            ));
        }
    };
    let scopes: Vec<&str> = query.all("scope").collect();
    let credentials = credentials
        .as_ref()
        .map(|(user, password)| (user.as_str(), password.as_str()));
    match registry.door.issue(credentials, &scopes).await {
        Some(token) => {
            let mut reply = json(StatusCode::OK, token?.to_string())?;
            put_header(&mut reply, header::CACHE_CONTROL, "no-store");
            Ok(reply)
        }
        None => Err(Failure::new(
            StatusCode::NOT_FOUND,
            "UNSUPPORTED",
            "this registry gives out no tokens",
        )),
    }
}

fn password_grant(form: &Query) -> Result<(String, String), Failure> {
    let refuse = |text: &str| Err(Failure::new(StatusCode::BAD_REQUEST, "UNSUPPORTED", text));
    match (
        form.get("grant_type"),
        form.get("username"),
        form.get("password"),
    ) {
        (Some("password"), Some(user), Some(password)) => {
            Ok((user.to_owned(), password.to_owned()))
        }
        (Some("password"), ..) => refuse("username and password are needed"),
        (Some("refresh_token"), ..) => {
            refuse("refresh tokens are not supported: log in with name and password")
        }
        _ => refuse("only grant_type=password is supported"),
    }
}
