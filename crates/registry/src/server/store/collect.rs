//! Garbage: what nothing needs any more is found and freed while pushes go on.
//!
//! What a repository holds without a manifest naming it may belong to a push that has not come to its manifest. So
//! nothing goes before its grace is over, counted from when it was pushed, mounted, or asked for with `HEAD`, which is how a push
//! finds out what it need not send. Every removal looks again in its own transaction, and putting a manifest looks
//! whether its parts are there in its own, so the two never meet half way.

use std::collections::BTreeSet;
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Duration;

use oci::Digest;
use redb::ReadableTable as _;

use super::document::Document;
use super::error::{Result, failed, io_at};
use super::retention::{self, Dated, Rule};
use super::tables::{
    BLOBS, DOCUMENTS, LINKS, LINKS_OF, MANIFESTS, REFERRERS, REPOSITORIES, TAGS, USES, get,
    seconds, thirds,
};
use super::{Store, blobs, manifests, now};

/// How long things stay that nothing names.
#[derive(Clone, Copy, Debug)]
pub struct Grace {
    /// Blobs that no manifest names.
    pub blobs: Duration,
    /// Uploads that nothing comes to any more.
    pub uploads: Duration,
}

impl Default for Grace {
    fn default() -> Grace {
        Grace {
            blobs: Duration::from_secs(3_600),
            uploads: Duration::from_secs(86_400),
        }
    }
}

/// What a collection removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    pub tags: u64,
    pub manifests: u64,
    pub blobs: u64,
    pub bytes: u64,
    pub uploads: u64,
    /// Manifests that stayed though no tag, index or subject leads to them; counted only for who asked for a collection.
    pub untagged: u64,
}

impl std::fmt::Display for Collected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Collected {
            tags,
            manifests,
            blobs,
            bytes,
            uploads,
            untagged,
        } = self;
        write!(
            f,
            "removed {tags} tags, {manifests} manifests, {blobs} blobs ({bytes} bytes), {uploads} stale uploads"
        )?;
        match untagged {
            0 => Ok(()),
            _ => write!(
                f,
                "\n{untagged} manifests without a tag keep their blobs; --keep '*:untagged=0s' lets them go"
            ),
        }
    }
}

/// Rows looked at, or removed, in one transaction.
const BATCH: usize = 256;

impl Store {
    /// Removes what the rules let go and what nothing names. `go_on` is asked between steps.
    pub(crate) fn collect(
        &self,
        rules: &[Rule],
        grace: Grace,
        go_on: &dyn Fn() -> bool,
    ) -> Result<Collected> {
        let mut collected = Collected::default();
        if !rules.is_empty() {
            self.retain(rules, grace, go_on, &mut collected)?;
        }
        self.drop_unused_links(grace.blobs.as_secs(), go_on)?;
        self.drop_unheld_blobs(go_on, &mut collected)?;
        self.drop_orphans(go_on, &mut collected)?;
        collected.uploads = self.uploads.expire(grace.uploads)?;
        Ok(collected)
    }

    fn retain(
        &self,
        rules: &[Rule],
        grace: Grace,
        go_on: &dyn Fn() -> bool,
        collected: &mut Collected,
    ) -> Result<()> {
        for name in self.all_repositories()? {
            if !go_on() {
                return Ok(());
            }
            let tags = self.dated_tags(&name)?;
            for batch in retention::surplus(rules, &name, &tags, now()).chunks(BATCH) {
                collected.tags += self.drop_tags(&name, batch, &tags)?;
            }
            if let Some(age) = retention::untagged(rules, &name) {
                let age = age.max(grace.blobs).as_secs();
                collected.manifests += self.drop_untagged(&name, age)?;
            }
        }
        Ok(())
    }

    /// Manifests that no tag, index or subject leads to and that no rule lets go: what they name stays.
    pub(crate) fn left_untagged(&self, rules: &[Rule]) -> Result<u64> {
        let mut left = 0;
        for name in self.all_repositories()? {
            if retention::untagged(rules, &name).is_some() {
                continue;
            }
            for digest in self.untagged(&name, 0)? {
                left += u64::from(self.is_left(&name, &digest)?);
            }
        }
        Ok(left)
    }

    fn is_left(&self, name: &str, digest: &str) -> Result<bool> {
        let reader = self.database.read()?;
        let uses = reader.open_table(USES).map_err(failed("open a table"))?;
        let referrers = reader
            .open_table(REFERRERS)
            .map_err(failed("open a table"))?;
        let in_index = !thirds(&uses, (name, digest), "", 1)?.is_empty();
        let documents = reader
            .open_table(DOCUMENTS)
            .map_err(failed("open a table"))?;
        let bytes = get(&documents, digest, <[u8]>::to_vec)?;
        let subject = bytes
            .and_then(|bytes| Document::parse(&bytes, None).ok())
            .and_then(|document| document.subject);
        let refers = match &subject {
            Some(subject) => get(&referrers, (name, subject.as_str(), digest), drop)?.is_some(),
            None => false,
        };
        Ok(!in_index && !refers)
    }

    fn all_repositories(&self) -> Result<Vec<String>> {
        let reader = self.database.read()?;
        let table = reader
            .open_table(REPOSITORIES)
            .map_err(failed("open a table"))?;
        let mut names = Vec::new();
        for entry in table.iter().map_err(failed("list"))? {
            let (key, _) = entry.map_err(failed("list"))?;
            names.push(key.value().to_owned());
        }
        Ok(names)
    }

    fn dated_tags(&self, name: &str) -> Result<Vec<Dated>> {
        let reader = self.database.read()?;
        let table = reader.open_table(TAGS).map_err(failed("open a table"))?;
        let mut tags = Vec::new();
        for tag in seconds(&table, name, "", usize::MAX)? {
            if let Some(at) = get(&table, (name, tag.as_str()), |(_, at)| at)? {
                tags.push(Dated { tag, at });
            }
        }
        Ok(tags)
    }

    /// Removes tags that were not set again since they were looked at.
    fn drop_tags(&self, name: &str, surplus: &[String], seen: &[Dated]) -> Result<u64> {
        self.database.write_less(|writer| {
            let mut tags = writer.open_table(TAGS).map_err(failed("open a table"))?;
            let mut dropped = 0;
            for tag in surplus {
                let at = get(&tags, (name, tag.as_str()), |(_, at)| at)?;
                if seen.iter().any(|s| s.tag == *tag && Some(s.at) == at) {
                    tags.remove((name, tag.as_str()))
                        .map_err(failed("remove"))?;
                    dropped += 1;
                }
            }
            Ok(dropped)
        })
    }

    /// Removes manifests older than `age` seconds that no tag, no index and no living subject leads to. Goes round
    /// again as long as that makes others go: the manifests of an index, the referrers of a subject.
    fn drop_untagged(&self, name: &str, age: u64) -> Result<u64> {
        let mut dropped = 0;
        loop {
            let candidates = self.untagged(name, age)?;
            let mut now_dropped = 0;
            for batch in candidates.chunks(BATCH) {
                now_dropped += self.database.write_less(|writer| {
                    let mut count = 0;
                    for digest in batch {
                        if is_untagged(writer, name, digest, age)? {
                            manifests::remove(writer, name, digest)?;
                            count += 1;
                        }
                    }
                    Ok(count)
                })?;
            }
            if now_dropped == 0 {
                return Ok(dropped);
            }
            dropped += now_dropped;
        }
    }

    fn untagged(&self, name: &str, age: u64) -> Result<Vec<String>> {
        let reader = self.database.read()?;
        let tags = reader.open_table(TAGS).map_err(failed("open a table"))?;
        let manifests = reader
            .open_table(MANIFESTS)
            .map_err(failed("open a table"))?;
        let mut tagged = BTreeSet::new();
        for tag in seconds(&tags, name, "", usize::MAX)? {
            tagged.extend(get(&tags, (name, tag.as_str()), |(d, _)| d.to_owned())?);
        }
        let mut untagged = Vec::new();
        for digest in seconds(&manifests, name, "", usize::MAX)? {
            let at = get(&manifests, (name, digest.as_str()), |(_, _, at)| at)?;
            if !tagged.contains(&digest) && at.is_some_and(|at| at + age <= now()) {
                untagged.push(digest);
            }
        }
        Ok(untagged)
    }

    fn drop_unused_links(&self, grace: u64, go_on: &dyn Fn() -> bool) -> Result<()> {
        let mut after = (String::new(), String::new());
        while go_on() {
            let (rows, last) = self.unused_links(&after, grace)?;
            if !rows.is_empty() {
                self.database.write_less(|writer| {
                    for (name, digest) in &rows {
                        if is_unused(writer, name, digest, grace)? {
                            blobs::unlink(writer, name, digest)?;
                        }
                    }
                    Ok(())
                })?;
            }
            match last {
                Some(last) => after = last,
                None => break,
            }
        }
        Ok(())
    }

    /// Links after `after` that nothing uses, and where to look next.
    #[expect(clippy::type_complexity, reason = "pairs of a name and a digest")]
    fn unused_links(
        &self,
        after: &(String, String),
        grace: u64,
    ) -> Result<(Vec<(String, String)>, Option<(String, String)>)> {
        let reader = self.database.read()?;
        let links = reader.open_table(LINKS).map_err(failed("open a table"))?;
        let uses = reader.open_table(USES).map_err(failed("open a table"))?;
        let mut unused = Vec::new();
        let range = links.range((after.0.as_str(), after.1.as_str())..);
        for (seen, entry) in range.map_err(failed("list"))?.enumerate() {
            let (key, touched) = entry.map_err(failed("list"))?;
            let (name, digest) = key.value();
            if seen == BATCH {
                return Ok((unused, Some((name.to_owned(), digest.to_owned()))));
            }
            if touched.value() + grace <= now() && thirds(&uses, (name, digest), "", 1)?.is_empty()
            {
                unused.push((name.to_owned(), digest.to_owned()));
            }
        }
        Ok((unused, None))
    }

    fn drop_unheld_blobs(&self, go_on: &dyn Fn() -> bool, collected: &mut Collected) -> Result<()> {
        for digest in self.unheld_blobs()? {
            if !go_on() {
                break;
            }
            let bytes = self.remove_unheld(&manifests::parsed(&digest)?)?;
            collected.blobs += u64::from(bytes > 0);
            collected.bytes += bytes;
        }
        Ok(())
    }

    fn unheld_blobs(&self) -> Result<Vec<String>> {
        let reader = self.database.read()?;
        let blobs = reader.open_table(BLOBS).map_err(failed("open a table"))?;
        let holders = reader
            .open_table(LINKS_OF)
            .map_err(failed("open a table"))?;
        let mut unheld = Vec::new();
        for entry in blobs.iter().map_err(failed("list"))? {
            let (key, _) = entry.map_err(failed("list"))?;
            if seconds(&holders, key.value(), "", 1)?.is_empty() {
                unheld.push(key.value().to_owned());
            }
        }
        Ok(unheld)
    }

    /// Removes files of blobs that the database does not know.
    fn drop_orphans(&self, go_on: &dyn Fn() -> bool, collected: &mut Collected) -> Result<()> {
        let mut failure = None;
        walk(&self.root.join("blobs"), &mut |algorithm, hex| {
            let orphan = format!("{algorithm}:{hex}").parse::<Digest>();
            // What has no digest's name is not ours.
            let Ok(digest) = orphan else {
                return ControlFlow::Continue(());
            };
            match self.has_file(&digest) {
                Ok(true) => {}
                Ok(false) => match self.remove_orphan(&digest) {
                    Ok(bytes) => {
                        collected.blobs += 1;
                        collected.bytes += bytes;
                    }
                    Err(error) => failure = Some(error),
                },
                Err(error) => failure = Some(error),
            }
            if failure.is_none() && go_on() {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        })?;
        failure.map_or(Ok(()), Err)
    }
}

/// Calls `each` for every file, with the algorithm and the name.
fn walk(root: &Path, each: &mut dyn FnMut(&str, &str) -> ControlFlow<()>) -> Result<()> {
    for algorithm in names(root)? {
        let folder = root.join(&algorithm);
        for part in names(&folder)? {
            for hex in names(&folder.join(part))? {
                if each(&algorithm, &hex).is_break() {
                    return Ok(());
                }
            }
        }
    }
    Ok(())
}

fn names(folder: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(io_at("list", folder))? {
        let entry = entry.map_err(io_at("list", folder))?;
        names.push(entry.file_name().to_string_lossy().into_owned());
    }
    Ok(names)
}

fn is_unused(
    writer: &redb::WriteTransaction,
    name: &str,
    digest: &str,
    grace: u64,
) -> Result<bool> {
    let links = writer.open_table(LINKS).map_err(failed("open a table"))?;
    let uses = writer.open_table(USES).map_err(failed("open a table"))?;
    let touched = get(&links, (name, digest), |at| at)?;
    Ok(touched.is_some_and(|at| at + grace <= now())
        && thirds(&uses, (name, digest), "", 1)?.is_empty())
}

fn is_untagged(
    writer: &redb::WriteTransaction,
    name: &str,
    digest: &str,
    age: u64,
) -> Result<bool> {
    let manifests = writer
        .open_table(MANIFESTS)
        .map_err(failed("open a table"))?;
    let Some(at) = get(&manifests, (name, digest), |(_, _, at)| at)? else {
        return Ok(false);
    };
    let tags = writer.open_table(TAGS).map_err(failed("open a table"))?;
    let tagged = !manifests::tags_of(&tags, name, digest)?.is_empty();
    let uses = writer.open_table(USES).map_err(failed("open a table"))?;
    let in_index = !thirds(&uses, (name, digest), "", 1)?.is_empty();
    Ok(
        at + age <= now()
            && !tagged
            && !in_index
            && !has_subject(writer, &manifests, name, digest)?,
    )
}

/// Whether it refers to a manifest that is there: signatures go with what they sign.
fn has_subject(
    writer: &redb::WriteTransaction,
    manifests: &impl redb::ReadableTable<super::tables::Pair, (&'static str, u64, u64)>,
    name: &str,
    digest: &str,
) -> Result<bool> {
    let Some(subject) = manifests::subject_of(writer, digest)? else {
        return Ok(false);
    };
    let referrers = writer
        .open_table(REFERRERS)
        .map_err(failed("open a table"))?;
    let refers = get(&referrers, (name, subject.as_str(), digest), drop)?.is_some();
    Ok(refers && get(manifests, (name, subject.as_str()), |_| ())?.is_some())
}
