//! Images on the wire.

use std::collections::BTreeMap;

use api::types::container::{GraphDriver, HealthConfig};
use api::types::image::{
    DeleteItem, HistoryItem, ImageConfig, ImageInspect, ImageMetadata, ImageSummary,
    LegacyImageConfig, ManifestImage, ManifestSize, ManifestSummary, Platform, RootFs,
};
use api::types::{Set, StrSlice};
use image::{GraphPaths, Image, Removed};

use super::inspect::{joined, signed};
use super::time;

/// `GET /images/{name}/json`.
pub(crate) fn inspect(image: &Image) -> ImageInspect {
    let config = &image.config;
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    ImageInspect {
        id: image.id.to_string(),
        repo_tags: names(&image.tags),
        repo_digests: names(&image.digests),
        parent: Some(
            image
                .parent
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
        ),
        comment: comment(image),
        created: text(&config.created),
        docker_version: Some(text(&config.docker_version)),
        author: text(&config.author),
        config: Some(image_config(&config.config)),
        architecture: config.architecture.clone(),
        variant: text(&config.variant),
        os: config.os.clone(),
        os_version: text(&config.os_version),
        size: signed(image.size),
        graph_driver: Some(graph(&image.graph)),
        root_fs: RootFs {
            r#type: config.rootfs.kind.clone(),
            layers: config
                .rootfs
                .diff_ids
                .iter()
                .map(ToString::to_string)
                .collect(),
        },
        metadata: ImageMetadata {
            last_tag_time: time::text(image.last_tagged),
        },
        ..Default::default()
    }
}

/// The image's own, else that of its last step, as Docker has it.
fn comment(image: &Image) -> String {
    let own = image.config.comment.clone().filter(|c| !c.is_empty());
    own.or_else(|| image.config.history.last()?.comment.clone())
        .unwrap_or_default()
}

fn names(references: &[oci::Reference]) -> Vec<String> {
    references.iter().map(oci::Reference::familiar).collect()
}

/// An image of one layer has no `LowerDir` at all.
fn graph(graph: &GraphPaths) -> GraphDriver {
    let mut data = BTreeMap::from([
        (
            "MergedDir".to_owned(),
            graph.merged.to_string_lossy().into_owned(),
        ),
        (
            "UpperDir".to_owned(),
            graph.upper.to_string_lossy().into_owned(),
        ),
        (
            "WorkDir".to_owned(),
            graph.work.to_string_lossy().into_owned(),
        ),
    ]);
    if !graph.lower.is_empty() {
        data.insert("LowerDir".to_owned(), joined(&graph.lower));
    }
    super::inspect::driver(graph.driver, data)
}

fn image_config(config: &oci::ContainerConfig) -> ImageConfig {
    ImageConfig {
        legacy: LegacyImageConfig::zero(),
        args_escaped: config.args_escaped,
        cmd: config.cmd.clone().map(StrSlice),
        entrypoint: config.entrypoint.clone().map(StrSlice),
        env: config.env.clone(),
        exposed_ports: config.exposed_ports.as_ref().map(set).unwrap_or_default(),
        healthcheck: config.healthcheck.as_ref().map(healthcheck),
        labels: config.labels.clone(),
        on_build: config.on_build.clone(),
        shell: StrSlice(config.shell.clone().unwrap_or_default()),
        stop_signal: config.stop_signal.clone().unwrap_or_default(),
        user: config.user.clone(),
        volumes: config.volumes.as_ref().map(set),
        working_dir: config.working_dir.clone(),
    }
}

fn set(names: &oci::StringSet) -> Set {
    names
        .0
        .iter()
        .map(|name| (name.clone(), Default::default()))
        .collect()
}

fn healthcheck(check: &oci::Healthcheck) -> HealthConfig {
    HealthConfig {
        test: check.test.clone(),
        interval: check.interval,
        timeout: check.timeout,
        start_period: check.start_period,
        start_interval: check.start_interval,
        retries: check.retries,
    }
}

/// One entry of `GET /images/json`. `containers` and `shared_size` are -1 where nobody asked for them.
pub(crate) fn summary(image: &Image, containers: i64, shared_size: i64) -> ImageSummary {
    ImageSummary {
        containers,
        created: image.created().as_second(),
        id: image.id.to_string(),
        labels: image.config.config.labels.clone(),
        manifests: None,
        parent_id: image
            .parent
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default(),
        repo_digests: Some(names(&image.digests)),
        repo_tags: Some(names(&image.tags)),
        shared_size,
        size: signed(image.size),
        virtual_size: None,
    }
}

/// One platform of a name that has several. Its id is the image's own, which `inspect` and `rmi` take.
pub(crate) fn manifest<T: ToString>(image: &Image, users: Vec<(T, bool)>) -> ManifestSummary {
    let platform = image.config.platform();
    let containers = users
        .into_iter()
        .map(|(container, _)| container.to_string());
    ManifestSummary {
        id: image.id.to_string(),
        descriptor: serde_json::to_value(&image.manifest).unwrap_or_default(),
        available: true,
        size: ManifestSize {
            total: signed(image.size),
            ..Default::default()
        },
        kind: "image".to_owned(),
        image_data: Some(ManifestImage {
            platform: Platform {
                architecture: platform.architecture,
                os: platform.os,
                variant: platform.variant.unwrap_or_default(),
                ..Default::default()
            },
            containers: Some(containers.collect()),
        }),
        attestation_data: None,
    }
}

/// One step of `GET /images/{name}/history`.
pub(crate) fn history(item: &image::HistoryItem) -> HistoryItem {
    HistoryItem {
        comment: item.comment.clone(),
        created: item.created.as_second(),
        created_by: item.created_by.clone(),
        id: item
            .id
            .as_ref()
            .map_or_else(|| "<missing>".to_owned(), ToString::to_string),
        size: signed(item.size),
        tags: Some(names(&item.tags)).filter(|tags| !tags.is_empty()),
    }
}

/// What a removal did, line by line.
pub(crate) fn removed(removed: Vec<Removed>) -> Vec<DeleteItem> {
    removed
        .into_iter()
        .map(|line| match line {
            Removed::Untagged(name, _) => DeleteItem {
                untagged: name,
                ..Default::default()
            },
            Removed::Deleted(id) | Removed::DeletedLayer(id) => DeleteItem {
                deleted: id.to_string(),
                ..Default::default()
            },
        })
        .collect()
}
