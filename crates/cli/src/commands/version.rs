//! `version`: of the client and of the daemon.

use std::fmt::Write;

use api::client::Request;
use api::types::system::Version;
use serde::Serialize;

use crate::command::{Args, Command, Flag, Order};
use crate::context::Context;
use crate::failure::{Exit, Failure, Outcome};
use crate::flags::Matches;
use crate::format::json::{Html, Json};
use crate::format::{Data, Missing, Template, time};
use crate::print::print;

/// The row of the table.
pub(super) static COMMAND: Command = Command {
    paths: &["version"],
    about: "Show the versions of the client and of the daemon",
    usage: "[OPTIONS]",
    args: Args::None,
    order: Order::Anywhere,
    flags: &[&[Flag::text(
        "format",
        Some('f'),
        "How to print: json or a Go template",
    )]],
    run,
};

/// What templates see.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Versions {
    client: ClientVersion,
    server: Option<Version>,
}

/// The client's own half, with Docker's names.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct ClientVersion {
    version: &'static str,
    api_version: String,
    #[serde(rename = "DefaultAPIVersion")]
    default_api_version: &'static str,
    git_commit: &'static str,
    go_version: &'static str,
    os: &'static str,
    arch: &'static str,
    build_time: &'static str,
    context: String,
}

fn run(context: &Context, matches: &Matches) -> Outcome {
    let format = matches.text_or_empty("format");
    let template = match format {
        "" | "json" => None,
        source => Some(Template::parse_named("version", source).map_err(|error| {
            Failure::with_status(64, format!("template parsing error: {error}"))
        })?),
    };
    let asked = context.talk(async |client| {
        let answer: Result<Version, _> = client.json(Request::get("/version")).await;
        Ok((client.api_version(), answer))
    });
    let (api_version, server) = match asked {
        Ok((api_version, answer)) => (api_version, answer.map_err(Failure::from)),
        Err(failure) => (api::CLIENT_VERSION.to_owned(), Err(failure)),
    };
    let (server, failure) = match server {
        Ok(mut server) => {
            plain_build_times(&mut server);
            (Some(server), None)
        }
        Err(failure) => (None, Some(failure)),
    };
    let versions = Versions {
        client: client_version(context, api_version),
        server,
    };
    let text = text(format, template.as_ref(), &versions);
    // A template that fails leaves an empty line, as Docker's does.
    print(text.as_deref().unwrap_or("\n"))?;
    text?;
    failure.map_or(Ok(Exit::OK), Err)
}

/// Docker prints the components' times in C's form, and the engine's own as it came.
fn plain_build_times(server: &mut Version) {
    for component in &mut server.components {
        if let Some(built) = component.details.get_mut("BuildTime") {
            *built = time::ctime(built);
        }
    }
}

fn client_version(context: &Context, api_version: String) -> ClientVersion {
    ClientVersion {
        version: env!("CARGO_PKG_VERSION"),
        api_version,
        default_api_version: api::CLIENT_VERSION,
        git_commit: "",
        go_version: "",
        os: std::env::consts::OS,
        arch: arch(),
        build_time: "",
        context: context.context_name(),
    }
}

/// The processor in Go's words.
fn arch() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn text(format: &str, template: Option<&Template>, versions: &Versions) -> Result<String, Failure> {
    if format.is_empty() {
        return Ok(plain(versions));
    }
    let json = Json::of(versions).map_err(|error| Failure::new(error.to_string()))?;
    match template {
        None => Ok(format!("{}\n", json.compact(Html::Plain))),
        Some(template) => template
            .render(
                &Data::renamed(as_go_struct(&json), json),
                Missing::Field("system.versionInfo"),
            )
            .map(|text| format!("{text}\n"))
            .map_err(|error| Failure::new(error.to_string())),
    }
}

/// Templates know Go's names of fields, of which one is spelt otherwise in JSON.
fn as_go_struct(json: &Json) -> Json {
    let go = |name: &str| match name {
        "ApiVersion" => "APIVersion".into(),
        other => other.into(),
    };
    json.map(|half, members| {
        let members = members.map(|name, value| (go(name), value.clone()));
        (half.into(), members)
    })
}

fn plain(versions: &Versions) -> String {
    let client = &versions.client;
    let mut out = String::from("Client:\n");
    row(&mut out, 1, "Version", client.version);
    row(&mut out, 1, "API version", &client.api_version);
    row(
        &mut out,
        1,
        "OS/Arch",
        &format!("{}/{}", client.os, client.arch),
    );
    row(&mut out, 1, "Context", &client.context);
    let Some(server) = &versions.server else {
        return out;
    };
    out.push_str(if server.platform.name.is_empty() {
        "\nServer:\n"
    } else {
        "\nServer: "
    });
    if !server.platform.name.is_empty() {
        let _ = writeln!(out, "{}", server.platform.name);
    }
    for component in &server.components {
        let _ = writeln!(out, " {}:", component.name);
        row(&mut out, 2, "Version", &component.version);
        for (name, value) in component_details(component) {
            row(&mut out, 2, name, &value);
        }
    }
    out
}

fn row(out: &mut String, indent: usize, name: &str, value: &str) {
    let width = 20 - indent;
    let _ = writeln!(out, "{:indent$}{:width$}{value}", "", format!("{name}:"));
}

/// In Docker's order and words for the engine, then the rest by name.
fn component_details(component: &api::types::system::Component) -> Vec<(&str, String)> {
    let details = &component.details;
    let get = |name: &str| details.get(name).cloned();
    let joined =
        |a: &str, b: &str, join: fn(String, String) -> String| Some(join(get(a)?, get(b)?));
    let known = [
        (
            "API version",
            joined("ApiVersion", "MinAPIVersion", |api, least| {
                format!("{api} (minimum version {least})")
            }),
        ),
        (
            "Go version",
            get("GoVersion").filter(|version| !version.is_empty()),
        ),
        (
            "Git commit",
            get("GitCommit").filter(|commit| component.name == "Engine" && !commit.is_empty()),
        ),
        ("Built", get("BuildTime").filter(|built| !built.is_empty())),
        (
            "OS/Arch",
            joined("Os", "Arch", |os, arch| format!("{os}/{arch}")),
        ),
        ("Experimental", get("Experimental")),
        (
            "GitCommit",
            get("GitCommit").filter(|_| component.name != "Engine"),
        ),
    ];
    known
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
}
