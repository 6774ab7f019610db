//! The web page: what is here, for people. Plain HTML made on the server, no script, everything escaped.

use std::fmt::Write as _;

use super::query::encoded;
use super::store::{Described, RepositorySummary, TagSummary};

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:60em;margin:2em auto;padding:0 1em;color:#222}\
table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.3em .8em .3em 0;border-bottom:1px solid #ddd}\
td.n,th.n{text-align:right}code{font-size:.9em;word-break:break-all}a{color:#05c}\
@media(prefers-color-scheme:dark){body{background:#181818;color:#ddd}th,td{border-color:#444}a{color:#7af}}";

/// A whole page around `body`, which is HTML already.
fn page(title: &str, body: &str) -> String {
    let title = escaped(title);
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>{title}</title><style>{STYLE}</style></head>\n<body><h1>{title}</h1>\n{body}</body></html>\n"
    )
}

pub(crate) fn home(
    repositories: &[RepositorySummary],
    next: Option<&str>,
    (blobs, bytes): (u64, u64),
) -> String {
    let mut body = format!("<p>{blobs} blobs, {}.</p>\n", size(bytes));
    body.push_str("<table><tr><th>Repository</th><th class=\"n\">Tags</th></tr>\n");
    for RepositorySummary { name, tags } in repositories {
        let (href, shown) = (encoded(name), escaped(name));
        let _ = writeln!(
            body,
            "<tr><td><a href=\"/ui/{href}\">{shown}</a></td><td class=\"n\">{tags}</td></tr>"
        );
    }
    body.push_str("</table>\n");
    more(&mut body, "/", next);
    page("Repositories", &body)
}

pub(crate) fn repository(name: &str, tags: &[TagSummary], next: Option<&str>) -> String {
    let mut body = "<p><a href=\"/\">All repositories</a></p>\n".to_owned();
    body.push_str(
        "<table><tr><th>Tag</th><th>Digest</th><th>Set</th><th class=\"n\">Size</th></tr>\n",
    );
    for tag in tags {
        let href = format!("/ui/{}:{}", encoded(name), encoded(&tag.tag));
        let kind = if oci::media_type::is_index(&tag.media_type) {
            " (index)"
        } else {
            ""
        };
        let _ = writeln!(
            body,
            "<tr><td><a href=\"{href}\">{}</a>{kind}</td><td><code>{}</code></td><td>{}</td><td class=\"n\">{}</td></tr>",
            escaped(&tag.tag),
            escaped(tag.digest.get(..19).unwrap_or(&tag.digest)),
            date(tag.set),
            size(tag.size),
        );
    }
    body.push_str("</table>\n");
    more(&mut body, &format!("/ui/{}", encoded(name)), next);
    page(name, &body)
}

pub(crate) fn manifest(name: &str, reach: &str, described: &Described) -> String {
    let (href, shown) = (encoded(name), escaped(name));
    let mut body =
        format!("<p><a href=\"/\">All repositories</a>, <a href=\"/ui/{href}\">{shown}</a></p>\n");
    let fetched = &described.fetched;
    let _ = writeln!(
        body,
        "<p>{}<br><code>{}</code>, {}</p>",
        escaped(&fetched.media_type),
        fetched.digest,
        size(fetched.bytes.len() as u64),
    );
    body.push_str("<table><tr><th>Content</th><th>Digest</th><th class=\"n\">Size</th></tr>\n");
    for child in &described.manifests {
        let platform = child
            .platform
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default();
        let _ = writeln!(
            body,
            "<tr><td>manifest {}</td><td><a href=\"/ui/{href}@{}\"><code>{}</code></a></td><td class=\"n\">{}</td></tr>",
            escaped(&platform),
            child.digest,
            child.digest,
            size(child.size),
        );
    }
    for (index, blob) in described.blobs.iter().enumerate() {
        let what = if index == 0 {
            "config".to_owned()
        } else {
            format!("layer {index}")
        };
        let _ = writeln!(
            body,
            "<tr><td>{what}<br><small>{}</small></td><td><code>{}</code></td><td class=\"n\">{}</td></tr>",
            escaped(&blob.media_type),
            blob.digest,
            size(blob.size),
        );
    }
    let total = described
        .blobs
        .iter()
        .map(|b| b.size)
        .fold(0, u64::saturating_add);
    let _ = writeln!(body, "</table>\n<p>{} in all.</p>", size(total));
    let mark = if reach.contains(':') { '@' } else { ':' };
    page(&format!("{name}{mark}{reach}"), &body)
}

fn more(body: &mut String, path: &str, next: Option<&str>) {
    if let Some(last) = next {
        let _ = writeln!(
            body,
            "<p><a href=\"{path}?last={}\">More</a></p>",
            encoded(last)
        );
    }
}

/// Safe inside text and inside quoted attributes.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["kB", "MB", "GB", "TB", "PB", "EB"];
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    let mut number = bytes as f64 / 1000.0;
    let mut unit = 0;
    while number >= 1000.0 && unit + 1 < UNITS.len() {
        number /= 1000.0;
        unit += 1;
    }
    format!("{number:.1} {}", UNITS[unit])
}

/// The day and minute, UTC (Howard Hinnant's civil-from-days).
fn date(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let z = days + 719_468;
    let (era, day_of_era) = (z / 146_097, z % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!(
        "{year:04}-{month:02}-{day:02} {:02}:{:02}",
        rest / 3_600,
        rest / 60 % 60
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sizes_and_dates() {
        assert_eq!(size(999), "999 B");
        assert_eq!(size(1_500), "1.5 kB");
        assert_eq!(size(u64::MAX), "18.4 EB");
        assert_eq!(date(0), "1970-01-01 00:00");
        assert_eq!(date(951_782_399), "2000-02-28 23:59");
        assert_eq!(date(951_782_400), "2000-02-29 00:00");
        assert_eq!(date(1_795_326_660), "2026-11-22 05:51");
    }

    proptest! {
        #[test]
        fn nothing_gets_out_of_its_place(text in ".{0,60}") {
            prop_assert!(!escaped(&text).contains(['<', '>', '"', '\'']));
        }
    }
}
