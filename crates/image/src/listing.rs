//! What `images`, `history` and `system df` show.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

use oci::{Digest, ImageConfig, Reference};

use crate::database::Reader;
use crate::state::ImageRecord;
use crate::{
    Error, HistoryItem, Image, ImageId, LabelFilter, ListQuery, Result, Store, names, pattern,
};

/// What the images take on disk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DiskUsage {
    pub images: usize,
    /// Bytes of all layers' files, each layer once.
    pub layers_size: u64,
    /// Bytes of each image's layers that other images use too.
    pub shared: HashMap<ImageId, u64>,
}

impl Store {
    /// Newest first.
    pub fn list(&self, query: &ListQuery) -> Result<Vec<Image>> {
        let reader = self.read()?;
        let records = reader.images()?;
        let parents: HashSet<_> = records
            .iter()
            .filter_map(|(_, record)| record.parent.clone())
            .collect();
        let window = self.window(&reader, query)?;
        let mut images = Vec::new();
        for (id, record) in &records {
            let mut image = self.view(&reader, id, record)?;
            let labels = image.config.config.labels.clone().unwrap_or_default();
            let shown = window.contains(&image)
                && query.labels.iter().all(|filter| filter.accepts(&labels))
                && query.keeps_names(&mut image, parents.contains(id))?;
            if shown {
                images.push(image);
            }
        }
        images.sort_by(|a, b| b.created().cmp(&a.created()).then_with(|| a.id.cmp(&b.id)));
        Ok(images)
    }

    fn window(&self, reader: &Reader, query: &ListQuery) -> Result<Window> {
        let created = |name: &String| {
            Ok(created_of(
                &self.config(reader, &names::find(reader, name)?)?,
            ))
        };
        let before = query
            .before
            .iter()
            .map(created)
            .collect::<Result<Vec<_>>>()?;
        let since = query
            .since
            .iter()
            .map(created)
            .collect::<Result<Vec<_>>>()?;
        Ok(Window {
            before: before.into_iter().chain(query.until).min(),
            since: since.into_iter().max(),
        })
    }

    /// Newest step first.
    pub fn history(&self, name: &str) -> Result<Vec<HistoryItem>> {
        let reader = self.read()?;
        let id = names::find(&reader, name)?;
        let record = reader
            .image(&id)?
            .ok_or_else(|| Error::NoSuchImage(name.to_owned()))?;
        let mut items = self.steps(&reader, &record, &self.config(&reader, &id)?)?;
        let mut current = Some((id, record));
        for item in &mut items {
            let Some((id, record)) = current.take() else {
                break;
            };
            item.tags = reader.names_of(&id)?;
            item.tags.retain(|name| name.digest().is_none());
            item.id = Some(id);
            if let Some(parent) = record.parent {
                current = reader.image(&parent)?.map(|record| (parent, record));
            }
        }
        Ok(items)
    }

    fn steps(
        &self,
        reader: &Reader,
        record: &ImageRecord,
        config: &ImageConfig,
    ) -> Result<Vec<HistoryItem>> {
        let mut layers = record.layers.iter();
        let mut items = Vec::new();
        for step in &config.history {
            let size = if step.empty_layer {
                0
            } else {
                let diff_id = layers.next().ok_or_else(|| {
                    Error::Damaged("too many non-empty layers in History section".to_owned())
                })?;
                reader.layer(diff_id)?.map_or(0, |layer| layer.size)
            };
            items.push(HistoryItem {
                id: None,
                created: parse_time(step.created.as_deref()),
                created_by: step.created_by.clone().unwrap_or_default(),
                comment: step.comment.clone().unwrap_or_default(),
                size,
                tags: Vec::new(),
            });
        }
        items.reverse();
        Ok(items)
    }

    /// How many images there are.
    pub fn image_count(&self) -> Result<u64> {
        self.read()?.image_count()
    }

    /// Sums from counters; nothing on disk is walked.
    pub fn disk_usage(&self) -> Result<DiskUsage> {
        let reader = self.read()?;
        let records = reader.images()?;
        // What a layer adds to the shared bytes of each image that names it.
        let mut sizes: HashMap<&Digest, u64> = HashMap::new();
        for diff_id in records.iter().flat_map(|(_, record)| &record.layers) {
            if let Entry::Vacant(vacant) = sizes.entry(diff_id) {
                let shared = reader.uses(diff_id)? > 1;
                let layer = reader.layer(diff_id)?.filter(|_| shared);
                vacant.insert(layer.map_or(0, |layer| layer.size));
            }
        }
        let shared =
            |record: &ImageRecord| record.layers.iter().filter_map(|id| sizes.get(id)).sum();
        Ok(DiskUsage {
            images: usize::try_from(reader.image_count()?).unwrap_or(usize::MAX),
            layers_size: reader.layers_size()?,
            shared: records
                .iter()
                .map(|(id, record)| (id.clone(), shared(record)))
                .collect(),
        })
    }
}

/// Between which times an image must have been made, both exclusive.
struct Window {
    before: Option<jiff::Timestamp>,
    since: Option<jiff::Timestamp>,
}

impl Window {
    fn contains(&self, image: &Image) -> bool {
        let created = image.created();
        self.before.is_none_or(|limit| created < limit)
            && self.since.is_none_or(|limit| created > limit)
    }
}

impl ListQuery {
    /// Leaves only the names that the patterns want; says whether the image is shown at all.
    fn keeps_names(&self, image: &mut Image, is_parent: bool) -> Result<bool> {
        if !self.references.is_empty() {
            for names in [&mut image.tags, &mut image.digests] {
                let mut kept = Vec::new();
                for name in names.drain(..) {
                    if self.matches(&name)? {
                        kept.push(name);
                    }
                }
                *names = kept;
            }
        }
        Ok(match (image.is_dangling(), self.dangling) {
            (true, Some(false)) => false,
            (true, _) => (self.all || !is_parent) && self.references.is_empty(),
            (false, Some(true)) => image.tags.is_empty() && !is_parent,
            (false, _) => true,
        })
    }

    /// A pattern may mean the whole familiar name or the name without its tag.
    fn matches(&self, name: &Reference) -> Result<bool> {
        for wanted in &self.references {
            let hit = pattern::matches(wanted, &name.familiar())
                .and_then(|whole| Ok(whole || pattern::matches(wanted, &name.familiar_name())?))
                .map_err(|e| Error::Invalid(format!("invalid filter 'reference={wanted}': {e}")))?;
            if hit {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl LabelFilter {
    pub(crate) fn accepts(&self, labels: &std::collections::BTreeMap<String, String>) -> bool {
        let hit = match (&self.value, labels.get(&self.key)) {
            (None, found) => found.is_some(),
            (Some(wanted), found) => found == Some(wanted),
        };
        hit != self.negated
    }
}

pub(crate) fn created_of(config: &ImageConfig) -> jiff::Timestamp {
    parse_time(config.created.as_deref())
}

fn parse_time(text: Option<&str>) -> jiff::Timestamp {
    text.and_then(|t| t.parse().ok())
        .unwrap_or(jiff::Timestamp::UNIX_EPOCH)
}
