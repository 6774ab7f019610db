//! `images --tree`: images with their names, and under each its platforms.

use std::cmp::Reverse;
use std::fmt::Write as _;

use api::types::image::{ImageSummary, ManifestSummary};

use super::short_id;
use crate::format::units::short_size;

/// Columns behind the name: title, width.
const COLUMNS: [(&str, usize); 4] = [
    ("ID", 12),
    ("DISK USAGE", 10),
    ("CONTENT SIZE", 12),
    ("EXTRA", 5),
];
const GAP: usize = 3;
const TITLE: &str = "IMAGE";
const UNTAGGED: &str = "<untagged>";
const WARNING: &str =
    "WARNING: This is an experimental feature. The output may change and shouldn't be depended on.";

/// Where the tree is printed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Paper {
    /// Letters on a line.
    pub(crate) width: usize,
    /// Whether colours show.
    pub(crate) coloured: bool,
}

/// What a line tells behind its name.
struct Details {
    id: String,
    disk: i64,
    content: i64,
    in_use: bool,
}

struct Top {
    names: Vec<String>,
    details: Details,
    children: Vec<Child>,
    created: i64,
}

struct Child {
    platform: String,
    available: bool,
    details: Details,
}

/// The whole tree.
pub(crate) fn text(images: &[ImageSummary], paper: Paper) -> String {
    let mut tops: Vec<Top> = images.iter().map(top).collect();
    // Those with names first, the newest of each first.
    tops.sort_by_key(|top| (top.names.is_empty(), Reverse(top.created)));
    let name_width = name_width(&tops, paper.width);
    let spaced = tops.iter().any(|top| !top.children.is_empty());
    let mut out = format!("{}\n", paper.paint("\x1b[93m", WARNING));
    legend(&mut out, paper);
    head(&mut out, name_width, paper);
    for top in &tops {
        if spaced {
            out.push('\n');
        }
        line_of_top(&mut out, top, name_width, paper);
        for (index, child) in top.children.iter().enumerate() {
            let branch = match index + 1 == top.children.len() {
                true => "└─ ",
                false => "├─ ",
            };
            line_of_child(&mut out, child, branch, name_width, paper);
        }
    }
    out
}

fn top(image: &ImageSummary) -> Top {
    let children: Vec<Child> = image.manifests.iter().flatten().filter_map(child).collect();
    let mut names: Vec<String> = image
        .repo_tags
        .iter()
        .flatten()
        .filter(|name| *name != "<none>:<none>")
        .cloned()
        .collect();
    names.sort();
    Top {
        names,
        details: Details {
            id: short_id(&image.id).to_owned(),
            disk: image.size,
            content: children.iter().map(|child| child.details.content).sum(),
            in_use: image.containers > 0 || children.iter().any(|child| child.details.in_use),
        },
        children,
        created: image.created,
    }
}

/// A platform; attestations and what is not known are none.
fn child(manifest: &ManifestSummary) -> Option<Child> {
    let data = manifest
        .image_data
        .as_ref()
        .filter(|_| manifest.kind == "image")?;
    Some(Child {
        platform: data.platform.text(),
        available: manifest.available,
        details: Details {
            id: short_id(&manifest.id).to_owned(),
            disk: manifest.size.total,
            content: manifest.size.content,
            in_use: data.containers.iter().flatten().next().is_some(),
        },
    })
}

/// The longest name, if the other columns leave room for it.
fn name_width(tops: &[Top], width: usize) -> usize {
    let others: usize = COLUMNS.iter().map(|(_, width)| GAP + width).sum();
    let names = tops.iter().flat_map(|top| {
        let children = top.children.iter().map(|child| child.platform.len() + 3);
        top.names.iter().map(String::len).chain(children)
    });
    let longest = names
        .chain([
            UNTAGGED.len() * usize::from(tops.iter().any(|top| top.names.is_empty())),
            TITLE.len(),
        ])
        .max();
    longest
        .unwrap_or_default()
        .min(width.saturating_sub(others).max(TITLE.len()))
}

fn legend(out: &mut String, paper: Paper) {
    let plain = " Info ->  U In Use ";
    let indent = " ".repeat(paper.width.saturating_sub(plain.len()));
    let shown = match paper.coloured {
        true => {
            "\x1b[1m\x1b[106m\x1b[30mi\x1b[0m\x1b[0m \x1b[96mInfo → \x1b[0m\x1b[38;5;0m\x1b[48;5;14m U \x1b[0m In Use "
        }
        false => plain,
    };
    let _ = write!(out, "{indent}{shown}\n\n");
}

fn head(out: &mut String, name_width: usize, paper: Paper) {
    let bold = |text: &str| paper.paint("\x1b[1m", text);
    let _ = write!(
        out,
        "{}{}",
        bold(TITLE),
        " ".repeat(name_width - TITLE.len())
    );
    for (title, width) in COLUMNS {
        let pad = " ".repeat(width - title.len());
        let _ = write!(out, "{}{}{pad}", " ".repeat(GAP), bold(title));
    }
    trim(out);
}

fn line_of_top(out: &mut String, top: &Top, name_width: usize, paper: Paper) {
    let name = |text: &str| paper.paint("\x1b[34m\x1b[1m", text);
    let last = match top.names.split_last() {
        None => UNTAGGED,
        Some((last, others)) => {
            for other in others {
                let _ = writeln!(out, "{}", name(other));
            }
            last
        }
    };
    let (shown, pad) = fitted(last, name_width);
    let _ = write!(out, "{}{pad}", name(&shown));
    details(out, &top.details, paper);
}

fn line_of_child(out: &mut String, child: &Child, branch: &str, name_width: usize, paper: Paper) {
    let (shown, pad) = fitted(&child.platform, name_width.saturating_sub(3));
    let shown = match child.available {
        true => shown,
        // Known, but not here.
        false => paper.paint("\x1b[2m", &shown),
    };
    let _ = write!(out, "{branch}{shown}{pad}");
    details(out, &child.details, paper);
}

#[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
fn details(out: &mut String, details: &Details, paper: Paper) {
    let size = |bytes: i64| short_size(bytes as f64);
    let (disk, content) = (size(details.disk), size(details.content));
    let used = match details.in_use {
        true => paper.paint("\x1b[38;5;0m\x1b[48;5;14m", " U "),
        false => String::new(),
    };
    let _ = write!(
        out,
        "   {:<12}   {disk:>10}   {content:>12}   {used}",
        details.id
    );
    trim(out);
}

fn trim(out: &mut String) {
    out.truncate(out.trim_end_matches(' ').len());
    out.push('\n');
}

/// The text cut to the width, and what is missing to it.
fn fitted(text: &str, width: usize) -> (String, String) {
    let length = text.chars().count();
    if length <= width {
        return (text.to_owned(), " ".repeat(width - length));
    }
    let start: String = text.chars().take(width.saturating_sub(1)).collect();
    (format!("{start}…"), String::new())
}

impl Paper {
    fn paint(self, colour: &str, text: &str) -> String {
        match self.coloured {
            true => format!("{colour}{text}\x1b[0m"),
            false => text.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Paper = Paper {
        width: 80,
        coloured: false,
    };

    fn images() -> Vec<ImageSummary> {
        let text = r#"[
            {"Id":"sha256:0123456789abcdef","RepoTags":["b:2","a:1"],"Size":2065000,"Created":5},
            {"Id":"sha256:1123456789abcdef","RepoTags":[],"Size":1000,"Created":9},
            {"Id":"sha256:2123456789abcdef","RepoTags":["multi:1"],"Size":3000000,"Created":7,"Manifests":[
                {"ID":"sha256:aaaaaaaaaaaaaaaa","Available":true,"Kind":"image","Size":{"Total":3000000,"Content":1000000},
                 "ImageData":{"Platform":{"os":"linux","architecture":"amd64"},"Containers":["c"]}},
                {"ID":"sha256:bbbbbbbbbbbbbbbb","Available":false,"Kind":"image","Size":{"Total":0,"Content":0},
                 "ImageData":{"Platform":{"os":"linux","architecture":"arm","variant":"v7"}}},
                {"ID":"sha256:cccccccccccccccc","Kind":"attestation","AttestationData":{"For":"sha256:aaaaaaaaaaaaaaaa"}}]}
        ]"#;
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn platforms_hang_under_their_image() {
        let text = text(&images(), PLAIN);
        let (_, table) = text.split_once("\n\n").unwrap();
        let expected = "\
IMAGE             ID             DISK USAGE   CONTENT SIZE   EXTRA

multi:1           2123456789ab          3MB            1MB    U
├─ linux/amd64    aaaaaaaaaaaa          3MB            1MB    U
└─ linux/arm/v7   bbbbbbbbbbbb           0B             0B

a:1
b:2               0123456789ab       2.06MB             0B

<untagged>        1123456789ab          1kB             0B
";
        assert_eq!(table, expected);
    }

    #[test]
    fn a_long_name_is_cut_to_the_paper() {
        let mut images = images();
        images.truncate(1);
        images[0].repo_tags = Some(vec!["x".repeat(60)]);
        let text = text(&images, PLAIN);
        let line = text.lines().last().unwrap();
        assert!(
            line.starts_with(&format!("{}…   0123456789ab", "x".repeat(28))),
            "{line}"
        );
        assert_eq!(fitted("abc", 3), ("abc".to_owned(), String::new()));
    }
}
