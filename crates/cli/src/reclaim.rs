//! The prune commands: what each asks of the daemon and what it tells about the answer.

use api::client::{Client, Request, Result};
use api::types::filters::Filters;
use api::types::prune::{
    BuildCachePruned, ContainersPruned, ImagesPruned, NetworksPruned, VolumesPruned,
};
use serde::de::DeserializeOwned;

use crate::format::units::human_size;
use crate::sheets::told;

/// What was removed.
#[derive(Debug, Default)]
pub(crate) struct Reclaimed {
    /// What is to be printed before the sum; empty if there was nothing to remove.
    pub(crate) text: String,
    /// Bytes that are free now.
    pub(crate) bytes: u64,
}

impl Reclaimed {
    /// All that is printed.
    #[expect(clippy::cast_precision_loss, reason = "four digits are shown")]
    pub(crate) fn report(&self) -> String {
        format!(
            "{}Total reclaimed space: {}\n",
            self.text,
            human_size(self.bytes as f64)
        )
    }

    /// Puts the two together.
    pub(crate) fn add(&mut self, other: &Reclaimed) {
        self.text.push_str(&other.text);
        self.bytes = self.bytes.saturating_add(other.bytes);
    }
}

/// Stopped containers.
pub(crate) async fn containers(client: &Client, filters: &Filters) -> Result<Reclaimed> {
    let pruned: ContainersPruned = prune(client, "/containers/prune", filters).await?;
    Ok(Reclaimed {
        text: section("Deleted Containers", pruned.containers_deleted),
        bytes: pruned.space_reclaimed,
    })
}

/// Images without a name, or with `dangling=false` among the filters all that no container uses.
pub(crate) async fn images(client: &Client, filters: &Filters) -> Result<Reclaimed> {
    let pruned: ImagesPruned = prune(client, "/images/prune", filters).await?;
    let items = pruned.images_deleted.unwrap_or_default();
    let lines = told(&items);
    let text = if lines.is_empty() {
        lines
    } else {
        format!("Deleted Images:\n{}\n", lower_case_kinds(&lines))
    };
    Ok(Reclaimed {
        text,
        bytes: pruned.space_reclaimed,
    })
}

/// Networks that no container is in.
pub(crate) async fn networks(client: &Client, filters: &Filters) -> Result<Reclaimed> {
    let pruned: NetworksPruned = prune(client, "/networks/prune", filters).await?;
    Ok(Reclaimed {
        text: section("Deleted Networks", pruned.networks_deleted),
        bytes: 0,
    })
}

/// Volumes without a name that no container uses.
pub(crate) async fn volumes(client: &Client, filters: &Filters) -> Result<Reclaimed> {
    let pruned: VolumesPruned = prune(client, "/volumes/prune", filters).await?;
    Ok(Reclaimed {
        text: section("Deleted Volumes", pruned.volumes_deleted),
        bytes: pruned.space_reclaimed,
    })
}

/// Records of the build cache that nothing uses.
pub(crate) async fn build_cache(client: &Client, filters: &Filters) -> Result<Reclaimed> {
    let pruned: BuildCachePruned = prune(client, "/build/prune", filters).await?;
    Ok(Reclaimed {
        text: section("Deleted build cache objects", pruned.caches_deleted),
        bytes: pruned.space_reclaimed,
    })
}

async fn prune<T: DeserializeOwned>(client: &Client, path: &str, filters: &Filters) -> Result<T> {
    client.json(Request::post(path).filters(filters)).await
}

fn section(title: &str, names: Option<Vec<String>>) -> String {
    let names = names.unwrap_or_default();
    if names.is_empty() {
        return String::new();
    }
    format!("{title}:\n{}\n\n", names.join("\n"))
}

/// `rmi` says `Untagged: x`, prune says `untagged: x`.
fn lower_case_kinds(lines: &str) -> String {
    lines
        .replace("Untagged: ", "untagged: ")
        .replace("Deleted: ", "deleted: ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_has_sections_and_a_sum() {
        let mut all = Reclaimed::default();
        all.add(&Reclaimed {
            text: section("Deleted Containers", Some(vec!["a".into(), "b".into()])),
            bytes: 1_500_000,
        });
        all.add(&Reclaimed {
            text: section("Deleted Networks", None),
            bytes: 0,
        });
        assert_eq!(
            all.report(),
            "Deleted Containers:\na\nb\n\nTotal reclaimed space: 1.5MB\n"
        );
    }
}
