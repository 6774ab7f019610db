//! The tags of a copy: upstream's, with those that are here.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::{Origin, upstream_failed};
use crate::client::Kind;
use crate::server::Registry;
use crate::server::failure::Failure;
use crate::server::http::blocking;
use crate::server::name::{Name, Tag};
use crate::server::query::Page;
use crate::server::store;

/// Lists that are kept for the clients that read them page by page, and how long one may be to be kept.
const MOST_LISTS: usize = 16;
const LONGEST_KEPT: usize = 10_000;
/// Tags of one repository that are here.
const MOST_HELD: usize = 100_000;

/// One repository's tags.
type List = Arc<BTreeSet<String>>;

/// What upstream listed lately.
#[derive(Default)]
pub(super) struct Lists(Mutex<HashMap<Name, (Instant, List)>>);

impl Lists {
    fn get(&self, name: &Name, fresh: Duration) -> Option<List> {
        let lists = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, list) = lists.get(name)?;
        (at.elapsed() < fresh).then(|| Arc::clone(list))
    }

    fn keep(&self, name: &Name, list: &List) {
        if list.len() > LONGEST_KEPT {
            return;
        }
        let mut lists = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lists.len() >= MOST_LISTS {
            lists.clear();
        }
        lists.insert(name.clone(), (Instant::now(), Arc::clone(list)));
    }
}

impl Origin<'_> {
    /// A page of the tags that can be pulled from here, and whether there are more. While upstream cannot be reached these
    /// are those that are here.
    pub(crate) async fn tags(
        &self,
        registry: &Arc<Registry>,
        name: &Name,
        page: &Page,
    ) -> Result<(Vec<String>, bool), Failure> {
        let (store, of) = (Arc::clone(&registry.store), name.clone());
        let held = blocking(move || {
            let all = Page {
                count: MOST_HELD,
                after: String::new(),
            };
            match store.tags(&of, &all) {
                Ok((tags, _)) => Ok(Some(tags)),
                Err(store::Error::NameUnknown(_)) => Ok(None),
                Err(error) => Err(error),
            }
        })
        .await?;
        let theirs = match self.listed(name).await {
            Ok(theirs) => theirs,
            Err((failure, is_their_word)) if is_their_word || held.is_none() => {
                return Err(failure);
            }
            Err(_) => Arc::default(),
        };
        let held = held.unwrap_or_default();
        let later = |tag: &&String| **tag > page.after;
        let merged: BTreeSet<&String> = theirs.iter().chain(&held).filter(later).collect();
        let tags = merged.iter().take(page.count).map(|tag| (*tag).clone());
        Ok((tags.collect(), merged.len() > page.count))
    }

    /// What upstream lists. With a failure goes whether it is upstream's word, and not that it could not be asked.
    async fn listed(&self, name: &Name) -> Result<List, (Failure, bool)> {
        if let Some(list) = self.cache.lists.get(name, self.upstream.fresh) {
            return Ok(list);
        }
        let turn = self.cache.turn(format!("{name} tags"));
        let _turn = turn.lock().await;
        if let Some(list) = self.cache.lists.get(name, self.upstream.fresh) {
            return Ok(list);
        }
        let repository = self.repository(name).await.map_err(|f| (f, false))?;
        let tags = repository
            .tags()
            .await
            .map_err(|error| match error.kind() {
                Kind::NotFound => (store::Error::NameUnknown(name.to_string()).into(), true),
                Kind::Denied | Kind::Unauthorized => (upstream_failed(&error), true),
                _ => (upstream_failed(&error), false),
            })?;
        // What is no tag cannot be pulled either.
        let good = |tag: &String| tag.parse::<Tag>().is_ok();
        let list = Arc::new(tags.into_iter().filter(good).collect());
        self.cache.lists.keep(name, &list);
        Ok(list)
    }
}
