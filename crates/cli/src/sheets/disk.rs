//! `system df`.

use api::types::usage::{BuildCache, DiskUsage};

use crate::format::json::Json;
use crate::format::{Field, Sheet, sheet, time, units};

/// One kind of thing that takes room.
pub(crate) struct Kind {
    name: &'static str,
    total: usize,
    active: usize,
    size: i64,
    reclaimable: i64,
    /// Docker tells the part in per cent for these.
    per_cent: bool,
}

/// Kinds of things.
pub(crate) static KINDS: Sheet<Kind> = Sheet {
    fields: &[
        Field {
            name: "Active",
            title: "ACTIVE",
            value: |kind| Json::text(kind.active.to_string()),
        },
        Field {
            name: "Reclaimable",
            title: "RECLAIMABLE",
            value: |kind| Json::text(reclaimable(kind)),
        },
        Field {
            name: "Size",
            title: "SIZE",
            value: |kind| Json::text(units::human_size(bytes(kind.size))),
        },
        Field {
            name: "TotalCount",
            title: "TOTAL",
            value: |kind| Json::text(kind.total.to_string()),
        },
        Field {
            name: "Type",
            title: "TYPE",
            value: |kind| Json::text(kind.name),
        },
    ],
    table: &["Type", "TotalCount", "Active", "Size", "Reclaimable"],
    raw: None,
    errors: sheet::PARSING,
    type_name: "*formatter.diskUsageContext",
    label: None,
};

/// Records of the build cache in `system df -v`.
pub(crate) static BUILD_CACHE: Sheet<BuildCache> = Sheet {
    fields: &[
        Field {
            name: "CacheType",
            title: "CACHE TYPE",
            value: |record| Json::text(&record.r#type),
        },
        Field {
            name: "CreatedSince",
            title: "CREATED",
            value: |record| Json::text(since(Some(&record.created_at))),
        },
        Field {
            name: "Description",
            title: "DESCRIPTION",
            value: |record| Json::text(&record.description),
        },
        Field {
            name: "ID",
            title: "CACHE ID",
            value: |record| Json::text(&record.id),
        },
        Field {
            name: "InUse",
            title: "IN USE",
            value: |record| Json::text(record.in_use.to_string()),
        },
        Field {
            name: "LastUsedSince",
            title: "LAST USED",
            value: |record| Json::text(since(record.last_used_at.as_deref())),
        },
        Field {
            name: "Shared",
            title: "SHARED",
            value: |record| Json::text(record.shared.to_string()),
        },
        Field {
            name: "Size",
            title: "SIZE",
            value: |record| Json::text(units::short_size(bytes(record.size))),
        },
        Field {
            name: "UsageCount",
            title: "USAGE",
            value: |record| Json::text(record.usage_count.to_string()),
        },
    ],
    table: &[
        "ID",
        "CacheType",
        "Size",
        "CreatedSince",
        "LastUsedSince",
        "UsageCount",
        "Shared",
    ],
    raw: None,
    errors: sheet::PARSING,
    type_name: "*formatter.buildCacheContext",
    label: None,
};

/// The four kinds, counted.
pub(crate) fn kinds(usage: &DiskUsage) -> Vec<Kind> {
    vec![
        images(usage),
        containers(usage),
        volumes(usage),
        build_cache(usage),
    ]
}

/// What unused images share with used ones counts as reclaimable too: Docker's figure, kept for those who compare it.
fn images(usage: &DiskUsage) -> Kind {
    let images = || usage.images.iter().flatten();
    let used = images()
        .filter(|image| image.containers != 0 && image.size != -1 && image.shared_size != -1);
    let in_use: i64 = used.map(|image| image.size - image.shared_size).sum();
    Kind {
        name: "Images",
        total: images().count(),
        active: images().filter(|image| image.containers > 0).count(),
        size: usage.layers_size,
        reclaimable: usage.layers_size - in_use,
        per_cent: true,
    }
}

fn containers(usage: &DiskUsage) -> Kind {
    let containers = || usage.containers.iter().flatten();
    let is_active = |state: &str| {
        state.contains("running") || state.contains("paused") || state.contains("restarting")
    };
    let unused = containers().filter(|container| !is_active(&container.state));
    Kind {
        name: "Containers",
        total: containers().count(),
        active: containers()
            .filter(|container| is_active(&container.state))
            .count(),
        size: containers().map(|container| container.size_rw).sum(),
        reclaimable: unused.map(|container| container.size_rw).sum(),
        per_cent: true,
    }
}

fn volumes(usage: &DiskUsage) -> Kind {
    let known = || {
        usage
            .volumes
            .iter()
            .flatten()
            .filter_map(|volume| volume.usage_data.as_ref())
    };
    let unused = known().filter(|data| data.ref_count == 0 && data.size != -1);
    Kind {
        name: "Local Volumes",
        total: usage.volumes.iter().flatten().count(),
        active: known().filter(|data| data.ref_count > 0).count(),
        size: known()
            .filter(|data| data.size != -1)
            .map(|data| data.size)
            .sum(),
        reclaimable: unused.map(|data| data.size).sum(),
        per_cent: true,
    }
}

fn build_cache(usage: &DiskUsage) -> Kind {
    let records = || usage.build_cache.iter().flatten();
    let own = || records().filter(|record| !record.shared);
    Kind {
        name: "Build Cache",
        total: records().count(),
        active: records().filter(|record| record.in_use).count(),
        size: own().map(|record| record.size).sum(),
        reclaimable: own()
            .filter(|record| !record.in_use)
            .map(|record| record.size)
            .sum(),
        per_cent: false,
    }
}

fn reclaimable(kind: &Kind) -> String {
    let size = units::human_size(bytes(kind.reclaimable));
    if kind.per_cent && kind.size > 0 {
        return format!(
            "{size} ({}%)",
            kind.reclaimable.saturating_mul(100) / kind.size
        );
    }
    size
}

#[expect(clippy::cast_precision_loss, reason = "four digits are shown")]
fn bytes(size: i64) -> f64 {
    size as f64
}

fn since(time: Option<&str>) -> String {
    time.and_then(time::seconds)
        .map_or_else(String::new, time::ago)
}
