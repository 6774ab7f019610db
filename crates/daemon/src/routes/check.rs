//! `POST /system/check`, which Docker does not have.

use api::types::check::{CheckProblem, CheckRepair, SystemCheck};

use super::{Call, Reply};
use crate::http::body;

pub(super) async fn check(call: Call) -> Reply {
    let report = call
        .app
        .engine
        .check_images(call.query.on("repair"))
        .await?;
    let problems = report.problems.into_iter().map(|problem| CheckProblem {
        kind: problem.kind.as_str().to_owned(),
        subject: problem.subject,
        detail: problem.detail,
        repaired: problem.repaired,
    });
    let repairs = report.repairs.into_iter().map(|repair| CheckRepair {
        action: repair.action.to_owned(),
        subject: repair.subject,
        names: repair.names,
        done: repair.done,
        obstacle: repair.obstacle.unwrap_or_default(),
    });
    body::json(&SystemCheck {
        images: report.images,
        layers: report.layers,
        snapshots: report.snapshots,
        bytes: report.bytes,
        problems: problems.collect(),
        repairs: repairs.collect(),
    })
}
