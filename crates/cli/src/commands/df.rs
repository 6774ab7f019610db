//! `system df`: what takes room.

use api::client::Request;
use api::types::usage::DiskUsage;

use crate::command::{Args, Command, Flag, Order};
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::flags::Matches;
use crate::format::json::{Html, Json};
use crate::format::units::human_size;
use crate::format::{Data, Format, Missing, Template};
use crate::print::print;
use crate::sheets::{Trunc, container, disk, image, volume};

/// The row of the table.
pub(super) static COMMAND: Command = Command {
    paths: &["system df"],
    about: "Show what takes room on disk",
    usage: "[OPTIONS]",
    args: Args::None,
    order: Order::Anywhere,
    flags: &[&[
        Flag::text(
            "format",
            None,
            "How to print: table, json, a Go template, or 'table TEMPLATE'",
        ),
        Flag::bool("verbose", Some('v'), "Each thing by itself"),
    ]],
    run,
};

fn run(context: &Context, matches: &Matches) -> Outcome {
    let request = Request::get("/system/df");
    let usage: DiskUsage = context.talk(async |client| Ok(client.json(request).await?))?;
    let format = Format::parse(matches.text_or_empty("format"));
    if !matches.flag("verbose") {
        return print(&disk::KINDS.print(&format, &disk::kinds(&usage))?);
    }
    let text = match format {
        Format::Table => verbose_tables(usage)?,
        Format::Json => verbose_document(usage).compact(Html::Escaped),
        Format::Template(source) | Format::TableOf(source) => templated(&source, usage)?,
        Format::Raw => return Err(Failure::new("raw is no format of system df -v")),
    };
    print(&text)
}

fn templated(source: &str, usage: DiskUsage) -> Result<String, Failure> {
    let template = Template::parse(source)
        .map_err(|error| Failure::new(format!("failed to parse template: {error}")))?;
    template
        .render(
            &Data::document(verbose_document(usage)),
            Missing::Field("*formatter.diskUsageContext"),
        )
        .map_err(|error| Failure::new(error.to_string()))
}

struct Rows {
    images: Vec<image::Row>,
    containers: Vec<container::Row>,
}

fn rows(usage: &mut DiskUsage, trunc: Trunc) -> Rows {
    let images = usage.images.take().unwrap_or_default();
    let containers =
        usage
            .containers
            .take()
            .unwrap_or_default()
            .into_iter()
            .map(|mut container| {
                // The list tells what is written, not what the image has.
                container.size_root_fs = 0;
                container::Row { container, trunc }
            });
    Rows {
        images: images
            .into_iter()
            .map(|image| image::Row::first_of(image, trunc))
            .collect(),
        containers: containers.collect(),
    }
}

fn verbose_tables(mut usage: DiskUsage) -> Result<String, Failure> {
    let Rows { images, containers } = rows(&mut usage, Trunc::Short);
    let (volumes, build_cache) = (
        usage.volumes.unwrap_or_default(),
        usage.build_cache.unwrap_or_default(),
    );
    let cached: i64 = build_cache
        .iter()
        .filter(|record| !record.shared)
        .map(|record| record.size)
        .sum();
    #[expect(clippy::cast_precision_loss, reason = "four digits are shown")]
    let cached = human_size(cached as f64);
    Ok(format!(
        "Images space usage:\n\n{}\nContainers space usage:\n\n{}\nLocal Volumes space usage:\n\n{}\nBuild cache usage: {cached}\n\n{}",
        image::SHEET.print_table_of(&Format::Table, image::DISK, &images)?,
        container::SHEET.print_table_of(&Format::Table, container::DISK, &containers)?,
        volume::SHEET.print_table_of(&Format::Table, volume::DISK, &volumes)?,
        disk::BUILD_CACHE.print(&Format::Table, &build_cache)?,
    ))
}

fn verbose_document(mut usage: DiskUsage) -> Json {
    let Rows { images, containers } = rows(&mut usage, Trunc::Full);
    Json::object([
        (
            "Images",
            Json::List(images.iter().map(|row| image::SHEET.row(row)).collect()),
        ),
        (
            "Containers",
            Json::List(
                containers
                    .iter()
                    .map(|row| container::SHEET.row(row))
                    .collect(),
            ),
        ),
        (
            "Volumes",
            Json::List(
                usage
                    .volumes
                    .iter()
                    .flatten()
                    .map(|row| volume::SHEET.row(row))
                    .collect(),
            ),
        ),
        (
            "BuildCache",
            Json::List(
                usage
                    .build_cache
                    .iter()
                    .flatten()
                    .map(|row| disk::BUILD_CACHE.row(row))
                    .collect(),
            ),
        ),
    ])
}
