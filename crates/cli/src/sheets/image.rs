//! Images: `images`, and in `system df -v`. A row is a name, so an image may have several.

use std::collections::BTreeMap;

use api::types::image::ImageSummary;

use super::{Trunc, YEAR_ONE};
use crate::format::json::Json;
use crate::format::{Field, Sheet, sheet, time, units};

const NONE: &str = "<none>";

/// One name of an image.
pub(crate) struct Row {
    image: std::rc::Rc<ImageSummary>,
    repository: String,
    tag: String,
    digest: String,
    trunc: Trunc,
}

/// Whether a name with several digests has several rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Digests {
    Shown,
    Hidden,
}

/// The columns of `images`.
pub(crate) const PLAIN: &[&str] = &["Repository", "Tag", "ID", "CreatedSince", "Size"];

/// The columns of `images --digests`.
pub(crate) const WITH_DIGESTS: &[&str] =
    &["Repository", "Tag", "Digest", "ID", "CreatedSince", "Size"];

/// The columns of `system df -v`.
pub(crate) const DISK: &[&str] = &[
    "Repository",
    "Tag",
    "ID",
    "CreatedSince",
    "Size",
    "SharedSize",
    "UniqueSize",
    "Containers",
];

/// Images.
pub(crate) static SHEET: Sheet<Row> = Sheet {
    fields: &[
        Field {
            name: "Containers",
            title: "CONTAINERS",
            value: |row| Json::text(containers(&row.image)),
        },
        Field {
            name: "CreatedAt",
            title: "CREATED AT",
            value: |row| Json::text(time::go_text(row.image.created)),
        },
        Field {
            name: "CreatedSince",
            title: "CREATED",
            value: |row| Json::text(created_since(&row.image)),
        },
        Field {
            name: "Digest",
            title: "DIGEST",
            value: |row| Json::text(&row.digest),
        },
        Field {
            name: "ID",
            title: "IMAGE ID",
            value: |row| Json::text(row.id()),
        },
        Field {
            name: "Repository",
            title: "REPOSITORY",
            value: |row| Json::text(&row.repository),
        },
        Field {
            name: "SharedSize",
            title: "SHARED SIZE",
            value: |row| Json::text(known_size(row.image.shared_size)),
        },
        Field {
            name: "Size",
            title: "SIZE",
            value: |row| Json::text(units::short_size(bytes(row.image.size))),
        },
        Field {
            name: "Tag",
            title: "TAG",
            value: |row| Json::text(&row.tag),
        },
        Field {
            name: "UniqueSize",
            title: "UNIQUE SIZE",
            value: |row| Json::text(unique_size(&row.image)),
        },
        Field {
            name: "VirtualSize",
            title: "SIZE",
            value: |row| Json::text(units::human_size(bytes(row.image.size))),
        },
    ],
    table: PLAIN,
    raw: Some(
        "repository: {{.Repository}}\ntag: {{.Tag}}\nimage_id: {{.ID}}\ncreated_at: {{.CreatedAt}}\nvirtual_size: {{.Size}}\n",
    ),
    errors: sheet::PARSING,
    type_name: "*formatter.imageContext",
    label: None,
};

impl Row {
    /// The image's id.
    pub(crate) fn id(&self) -> &str {
        self.trunc.id(&self.image.id)
    }

    /// The rows of one image, by name.
    pub(crate) fn of(image: ImageSummary, digests: Digests, trunc: Trunc) -> Vec<Row> {
        let image = std::rc::Rc::new(image);
        let row = |repository: &str, tag: &str, digest: &str| Row {
            image: std::rc::Rc::clone(&image),
            repository: repository.to_owned(),
            tag: tag.to_owned(),
            digest: digest.to_owned(),
            trunc,
        };
        let (tags, mut digests_of) = (tags(&image), repo_digests(&image));
        if tags.is_empty() && digests_of.is_empty() {
            return vec![row(NONE, NONE, NONE)];
        }
        let mut rows = Vec::new();
        for (repository, tags) in tags {
            let own = digests_of
                .remove(repository)
                .filter(|_| digests == Digests::Shown)
                .unwrap_or_else(|| vec![NONE]);
            rows.extend(tags.iter().flat_map(|tag| {
                own.iter()
                    .map(|digest| row(repository, tag, digest))
                    .collect::<Vec<_>>()
            }));
        }
        for (repository, own) in digests_of {
            match digests {
                Digests::Shown => {
                    rows.extend(own.iter().map(|digest| row(repository, NONE, digest)));
                }
                Digests::Hidden => rows.push(row(repository, NONE, "")),
            }
        }
        rows
    }

    /// The one row of an image in `system df -v`.
    pub(crate) fn first_of(image: ImageSummary, trunc: Trunc) -> Row {
        let (repository, tag) = tags(&image)
            .iter()
            .find_map(|(repository, tags)| {
                tags.first()
                    .map(|tag| ((*repository).to_owned(), (*tag).to_owned()))
            })
            .unwrap_or_else(|| (NONE.to_owned(), NONE.to_owned()));
        Row {
            image: std::rc::Rc::new(image),
            repository,
            tag,
            digest: String::new(),
            trunc,
        }
    }
}

fn tags(image: &ImageSummary) -> BTreeMap<&str, Vec<&str>> {
    let named = |name: &&String| name.as_str() != "<none>:<none>";
    by_repository(
        image
            .repo_tags
            .iter()
            .flatten()
            .filter(named)
            .filter_map(|name| {
                // A colon before the last slash is a port.
                name.rsplit_once(':').filter(|(_, tag)| !tag.contains('/'))
            }),
    )
}

fn repo_digests(image: &ImageSummary) -> BTreeMap<&str, Vec<&str>> {
    let names = image
        .repo_digests
        .iter()
        .flatten()
        .filter_map(|name| name.split_once('@'));
    by_repository(names.filter(|(repository, _)| *repository != NONE))
}

fn by_repository<'a>(
    names: impl Iterator<Item = (&'a str, &'a str)>,
) -> BTreeMap<&'a str, Vec<&'a str>> {
    let mut map: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (repository, end) in names {
        map.entry(repository).or_default().push(end);
    }
    map
}

#[expect(clippy::cast_precision_loss, reason = "four digits are shown")]
fn bytes(size: i64) -> f64 {
    size as f64
}

fn known_size(size: i64) -> String {
    if size == -1 {
        "N/A".to_owned()
    } else {
        units::human_size(bytes(size))
    }
}

fn unique_size(image: &ImageSummary) -> String {
    known_size(if image.size == -1 || image.shared_size == -1 {
        -1
    } else {
        image.size - image.shared_size
    })
}

fn containers(image: &ImageSummary) -> String {
    if image.containers == -1 {
        "N/A".to_owned()
    } else {
        image.containers.to_string()
    }
}

fn created_since(image: &ImageSummary) -> String {
    if image.created == YEAR_ONE {
        "N/A".to_owned()
    } else {
        time::ago(image.created)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_a_name() {
        let check =
            |tags: &[&str], digests: &[&str], shown: Digests, expected: &[(&str, &str, &str)]| {
                let owned =
                    |list: &[&str]| Some(list.iter().map(|name| (*name).to_owned()).collect());
                let image = ImageSummary {
                    repo_tags: owned(tags),
                    repo_digests: owned(digests),
                    ..ImageSummary::default()
                };
                let rows = Row::of(image, shown, Trunc::Short);
                let rows: Vec<_> = rows
                    .iter()
                    .map(|row| {
                        (
                            row.repository.as_str(),
                            row.tag.as_str(),
                            row.digest.as_str(),
                        )
                    })
                    .collect();
                assert_eq!(rows, expected);
            };
        check(&[], &[], Digests::Hidden, &[(NONE, NONE, NONE)]);
        check(
            &["<none>:<none>"],
            &["<none>@<none>"],
            Digests::Hidden,
            &[(NONE, NONE, NONE)],
        );
        check(
            &["b:1", "a:5000/x:2"],
            &[],
            Digests::Hidden,
            &[("a:5000/x", "2", NONE), ("b", "1", NONE)],
        );
        check(
            &["b:1"],
            &["b@sha256:1"],
            Digests::Hidden,
            &[("b", "1", NONE)],
        );
        check(
            &["b:1"],
            &["b@sha256:1"],
            Digests::Shown,
            &[("b", "1", "sha256:1")],
        );
        check(&[], &["b@sha256:1"], Digests::Hidden, &[("b", NONE, "")]);
        check(
            &[],
            &["b@sha256:1"],
            Digests::Shown,
            &[("b", NONE, "sha256:1")],
        );
    }
}
