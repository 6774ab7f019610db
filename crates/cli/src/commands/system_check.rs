//! `system check`: whether the image store is what it should be. Docker has no such command.

use api::client::{Error, Request};
use api::types::check::{CheckProblem, CheckRepair, SystemCheck};

use crate::command::{Args, Command, Flag, Order};
use crate::confirm::confirm;
use crate::context::Context;
use crate::failure::{Exit, Failure, Outcome};
use crate::flags::Matches;
use crate::format::columns::{self, Widths};
use crate::format::json::{Html, Json};
use crate::format::units::human_size;
use crate::format::{Data, Missing, Template};
use crate::print::print;

/// The row of the table.
pub(super) static COMMAND: Command = Command {
    paths: &["system check"],
    about: "Verify every image and layer in the store, and find what nobody owns",
    usage: "[OPTIONS]",
    args: Args::None,
    order: Order::Anywhere,
    flags: &[&[
        Flag::text("format", None, "How to print: json or a Go template"),
        Flag::bool(
            "repair",
            None,
            "Mend what can be mended, and remove what nobody owns and what is damaged",
        ),
        Flag::bool("force", Some('f'), "Do not ask before repairing"),
    ]],
    run,
};

fn run(context: &Context, matches: &Matches) -> Outcome {
    let (repair, force) = (matches.flag("repair"), matches.flag("force"));
    let format = matches.text_or_empty("format");
    if force && !repair {
        return Err(Failure::new(
            "--force is of use only together with --repair",
        ));
    }
    if !repair || force {
        let checked = check(context, repair)?;
        print(&text(&checked, format)?)?;
        return verdict(&checked);
    }
    let planned = check(context, false)?;
    if !planned.repairs.iter().any(is_possible) {
        print(&text(&planned, format)?)?;
        return verdict(&planned);
    }
    print(&problems(&planned))?;
    if !confirm(&warning(&planned))? {
        return Err(Failure::new(
            "nothing is repaired: answer y, or give --force to repair without a question",
        ));
    }
    let checked = check(context, true)?;
    print(&text(&checked, format)?)?;
    verdict(&checked)
}

fn check(context: &Context, repair: bool) -> Result<SystemCheck, Failure> {
    let request = Request::post("/system/check").query_flag("repair", repair);
    context.talk(async |client| {
        let answer = client.json(request).await;
        answer.map_err(|error| match is_unknown(&error) {
            true => Failure::new(format!(
                "the daemon at {} has no 'system check': that is Tare's own",
                client.host()
            )),
            false => error.into(),
        })
    })
}

fn verdict(checked: &SystemCheck) -> Outcome {
    match left(checked) {
        0 => Ok(Exit::OK),
        // The report has said what is wrong.
        _ => Err(Failure::silent(1)),
    }
}

fn is_unknown(error: &Error) -> bool {
    matches!(error.status(), Some(404 | 405 | 501))
}

/// How many problems there still are.
fn left(checked: &SystemCheck) -> usize {
    checked.problems.iter().filter(|one| !one.repaired).count()
}

fn text(checked: &SystemCheck, format: &str) -> Result<String, Failure> {
    let json = || {
        Json::of(checked)
            .map_err(|error| Failure::new(format!("unable to show the check: {error}")))
    };
    match format {
        "" => Ok(report(checked)),
        "json" => Ok(format!("{}\n", json()?.compact(Html::Plain))),
        source => {
            let failed = |error| Failure::new(format!("template parsing error: {error}"));
            let template = Template::parse(source).map_err(failed)?;
            let rendered = template.render(&Data::document(json()?), Missing::Key);
            Ok(format!("{}\n", rendered.map_err(failed)?))
        }
    }
}

fn report(checked: &SystemCheck) -> String {
    let mut text = problems(checked);
    let done = checked.repairs.iter().filter(|repair| repair.done);
    list(&mut text, "Done:", done.map(told));
    let planned = checked.repairs.iter().filter(|repair| is_possible(repair));
    list(
        &mut text,
        "'system check --repair' would:",
        planned.map(told),
    );
    let refused = checked.repairs.iter().filter(|r| !r.obstacle.is_empty());
    let refused = refused.map(|repair| format!("{}: {}", told(repair), repair.obstacle));
    list(&mut text, "What a repair cannot do:", refused);
    if left(checked) == 0 && !checked.problems.is_empty() {
        text.push_str("All of it is mended.\n");
    }
    text
}

/// What was looked at, and what is wrong.
fn problems(checked: &SystemCheck) -> String {
    #[expect(clippy::cast_precision_loss, reason = "four digits are shown")]
    let bytes = human_size(checked.bytes as f64);
    let mut text = format!(
        "Checked {}, {} and {}: {bytes} read.\n",
        counted(checked.images, "image"),
        counted(checked.layers, "layer"),
        counted(checked.snapshots, "writable layer"),
    );
    if checked.problems.is_empty() {
        text.push_str("Nothing is wrong.\n");
        return text;
    }
    let rows: String = checked.problems.iter().map(row).collect();
    let table = format!("KIND\tSUBJECT\tREPAIRED\tDETAIL\n{rows}");
    text.push_str(&columns::align(&table, Widths::TABLE));
    text
}

fn warning(planned: &SystemCheck) -> String {
    let mut text = String::new();
    let possible = planned.repairs.iter().filter(|repair| is_possible(repair));
    list(&mut text, "WARNING! This will:", possible.map(told));
    text.trim_end().to_owned()
}

fn list(text: &mut String, heading: &str, lines: impl Iterator<Item = String>) {
    for (number, line) in lines.enumerate() {
        if number == 0 {
            text.push_str(&format!("{heading}\n"));
        }
        text.push_str(&format!("  - {line}\n"));
    }
}

fn is_possible(repair: &CheckRepair) -> bool {
    !repair.done && repair.obstacle.is_empty()
}

/// `remove image x:1 (sha256:...)`
fn told(repair: &CheckRepair) -> String {
    let CheckRepair {
        action,
        subject,
        names,
        ..
    } = repair;
    match names.is_empty() {
        true => format!("{action} {subject}"),
        false => format!("{action} {} ({subject})", names.join(", ")),
    }
}

fn row(problem: &CheckProblem) -> String {
    let CheckProblem {
        kind,
        subject,
        detail,
        repaired,
    } = problem;
    let repaired = if *repaired { "yes" } else { "no" };
    format!("{kind}\t{subject}\t{repaired}\t{detail}\n")
}

fn counted(count: u64, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        count => format!("{count} {what}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_tells_what_is_wrong() {
        let mut checked = SystemCheck {
            images: 1,
            layers: 2,
            bytes: 1_500_000,
            ..SystemCheck::default()
        };
        assert_eq!(
            report(&checked),
            "Checked 1 image, 2 layers and 0 writable layers: 1.5MB read.\nNothing is wrong.\n"
        );
        checked.problems.push(CheckProblem {
            kind: "stray file".into(),
            subject: "overlay2/x".into(),
            detail: "nobody owns it".into(),
            repaired: false,
        });
        checked.repairs.push(CheckRepair {
            action: "remove file".into(),
            subject: "overlay2/x".into(),
            ..CheckRepair::default()
        });
        checked.repairs.push(CheckRepair {
            action: "remove image".into(),
            subject: "sha256:1".into(),
            names: vec!["x:1".into(), "x:2".into()],
            obstacle: "container 1 was made from it".into(),
            ..CheckRepair::default()
        });
        assert_eq!(
            report(&checked),
            "Checked 1 image, 2 layers and 0 writable layers: 1.5MB read.\n\
             KIND         SUBJECT      REPAIRED   DETAIL\n\
             stray file   overlay2/x   no         nobody owns it\n\
             'system check --repair' would:\n  - remove file overlay2/x\n\
             What a repair cannot do:\n  - remove image x:1, x:2 (sha256:1): container 1 was made from it\n"
        );
        assert_eq!(
            warning(&checked),
            "WARNING! This will:\n  - remove file overlay2/x"
        );
        for repair in &mut checked.repairs {
            (repair.done, repair.obstacle) = (true, String::new());
        }
        checked.problems[0].repaired = true;
        assert!(report(&checked).ends_with(
            "Done:\n  - remove file overlay2/x\n  - remove image x:1, x:2 (sha256:1)\nAll of it is mended.\n"
        ));
        assert_eq!(text(&checked, "{{.Images}}"), Ok("1\n".to_owned()));
    }
}
