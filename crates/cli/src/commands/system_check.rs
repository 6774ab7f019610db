//! `system check`: whether the image store is what it should be. Docker has no such command.

use api::client::{Error, Request};
use api::types::check::{CheckProblem, SystemCheck};

use crate::command::{Args, Command, Flag, Order};
use crate::context::Context;
use crate::failure::{Failure, Outcome};
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
            "Mend what can be mended, and remove what nobody owns",
        ),
    ]],
    run,
};

fn run(context: &Context, matches: &Matches) -> Outcome {
    let request = Request::post("/system/check").query_flag("repair", matches.flag("repair"));
    let checked: SystemCheck = context.talk(async |client| {
        let answer = client.json(request).await;
        answer.map_err(|error| match is_unknown(&error) {
            true => Failure::new(format!(
                "the daemon at {} has no 'system check': that is Tare's own",
                client.host()
            )),
            false => error.into(),
        })
    })?;
    print(&text(&checked, matches.text_or_empty("format"))?)?;
    match left(&checked) {
        0 => Ok(crate::failure::Exit::OK),
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
    let hint = match left(checked) {
        0 => "All of it is mended.\n",
        _ => "'system check --repair' mends what can be mended.\n",
    };
    text.push_str(hint);
    text
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
        assert_eq!(
            report(&checked),
            "Checked 1 image, 2 layers and 0 writable layers: 1.5MB read.\n\
             KIND         SUBJECT      REPAIRED   DETAIL\n\
             stray file   overlay2/x   no         nobody owns it\n\
             'system check --repair' mends what can be mended.\n"
        );
        assert_eq!(text(&checked, "{{.Images}}"), Ok("1\n".to_owned()));
    }
}
