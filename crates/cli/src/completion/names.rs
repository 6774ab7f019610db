//! Names that the daemon and the configuration know.

use api::client::{Client, Request};
use api::types::container::ContainerSummary;
use api::types::filters::Filters;
use api::types::image::ImageSummary;
use api::types::network::Network;
use api::types::volume::VolumeList;

use super::places::Place;
use crate::context::Context;

/// Everything that may stand there. What cannot be asked for is not offered.
pub(super) fn offered(context: &Context, place: Place) -> Vec<String> {
    match place {
        Place::Nothing | Place::Files => Vec::new(),
        Place::Words(words) => words.iter().map(|word| (*word).to_owned()).collect(),
        Place::Contexts => {
            let all = context.contexts().list().unwrap_or_default();
            all.into_iter().map(|context| context.name).collect()
        }
        Place::Variables => std::env::vars_os()
            .filter_map(|(name, _)| name.into_string().ok())
            .collect(),
        _ => context
            .ask(async |client| Ok(of_daemon(client, place).await?))
            .unwrap_or_default(),
    }
}

async fn of_daemon(client: &Client, place: Place) -> api::client::Result<Vec<String>> {
    match place {
        Place::Containers(states) => containers(client, states).await,
        Place::Images => images(client).await,
        Place::Volumes => volumes(client).await,
        Place::Networks => networks(client).await,
        _ => {
            let mut all = containers(client, &[]).await?;
            all.extend(images(client).await?);
            // A daemon without these still has the others.
            all.extend(volumes(client).await.unwrap_or_default());
            all.extend(networks(client).await.unwrap_or_default());
            Ok(all)
        }
    }
}

async fn containers(client: &Client, states: &[&str]) -> api::client::Result<Vec<String>> {
    let mut filters = Filters::default();
    for state in states {
        filters.add("status", *state);
    }
    let request = Request::get("/containers/json")
        .query("all", "1")
        .filters(&filters);
    let list: Vec<ContainerSummary> = client.json(request).await?;
    let name = |name: &String| name.trim_start_matches('/').to_owned();
    Ok(list
        .iter()
        .flat_map(|container| container.names.iter().map(name))
        .collect())
}

async fn images(client: &Client) -> api::client::Result<Vec<String>> {
    let list: Vec<ImageSummary> = client.json(Request::get("/images/json")).await?;
    let names = list
        .into_iter()
        .flat_map(|image| image.repo_tags.unwrap_or_default());
    Ok(names.filter(|name| !name.starts_with("<none>")).collect())
}

async fn volumes(client: &Client) -> api::client::Result<Vec<String>> {
    let list: VolumeList = client.json(Request::get("/volumes")).await?;
    let volumes = list.volumes.unwrap_or_default();
    Ok(volumes.into_iter().map(|volume| volume.name).collect())
}

async fn networks(client: &Client) -> api::client::Result<Vec<String>> {
    let list: Vec<Network> = client.json(Request::get("/networks")).await?;
    Ok(list.into_iter().map(|network| network.name).collect())
}
