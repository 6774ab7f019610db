//! The help texts, made from the table of commands.

use std::fmt::Write as _;

use crate::command::{Command, Flag, Group, Kind, Takes};
use crate::commands::{self, GROUPS};
use crate::failure::{Failure, Outcome};
use crate::globals;
use crate::launch;
use crate::print::print;

/// Columns the texts are folded to.
const WIDTH: usize = 100;

/// The other roles of the file, and what they are for; their command lines are another crate's.
pub(crate) const ROLES: [(&str, &str); 2] = [
    ("daemon", "Run the daemon that the other commands talk to"),
    (
        "registry",
        "Serve a registry of images, check it, and collect its garbage",
    ),
];

/// `Tare version 0.1.0`: shaped like Docker's line, because scripts cut it.
pub(crate) fn version_line(program: &str) -> String {
    let name = if program == "docker" {
        "Docker"
    } else {
        "Tare"
    };
    format!("{name} version {}, build tare", env!("CARGO_PKG_VERSION"))
}

/// The help of the program itself.
pub(crate) fn top(program: &str) -> String {
    let mut text = format!(
        "Usage:  {program} [OPTIONS] COMMAND\n\nRuns containers: milliseconds to start, next to nothing to keep\n"
    );
    let groups: Vec<_> = GROUPS
        .iter()
        .map(|group| (group.name.to_owned(), group.about))
        .collect();
    section(&mut text, "Management Commands", &groups);
    let mut top: Vec<_> = launch::all()
        .filter_map(|command| top_level_name(command).map(|name| (name.to_owned(), command.about)))
        .collect();
    top.extend(ROLES.map(|(name, about)| (name.to_owned(), about)));
    top.sort();
    section(&mut text, "Commands", &top);
    options(&mut text, "Global Options", globals::FLAGS.iter());
    let _ = write!(
        text,
        "\nRun '{program} COMMAND --help' for more information on a command.\n"
    );
    text
}

/// The help of a group of commands.
pub(crate) fn group(program: &str, group: &Group) -> String {
    let mut text = format!(
        "Usage:  {program} {} COMMAND\n\n{}\n",
        group.name, group.about
    );
    let prefix = format!("{} ", group.name);
    let mut rows: Vec<_> = launch::all()
        .filter_map(|command| {
            command
                .paths
                .iter()
                .find_map(|path| path.strip_prefix(&prefix))
                .map(|name| (name.to_owned(), command.about))
        })
        .collect();
    rows.sort();
    section(&mut text, "Commands", &rows);
    let _ = write!(
        text,
        "\nRun '{program} {} COMMAND --help' for more information on a command.\n",
        group.name
    );
    text
}

/// The usage of a group, for its errors.
pub(crate) fn usage_of_group(program: &str, group: &Group) -> String {
    let name = group.name;
    format!("Usage:  {program} {name}\n\nRun '{program} {name} --help' for more information")
}

/// The usage of a command, for its errors.
pub(crate) fn usage(program: &str, command: &Command, called_as: &str) -> String {
    format!(
        "{}\n\nRun '{program} {called_as} --help' for more information",
        usage_lines(program, command, called_as)
    )
}

fn usage_lines(program: &str, command: &Command, called_as: &str) -> String {
    let forms: Vec<_> = command
        .usage
        .lines()
        .map(|form| {
            format!("{program} {called_as} {form}")
                .trim_end()
                .to_owned()
        })
        .collect();
    let forms = if forms.is_empty() {
        vec![format!("{program} {called_as}")]
    } else {
        forms
    };
    format!("Usage:  {}", forms.join("\n\t"))
}

/// The help of a command.
pub(crate) fn command(program: &str, command: &Command, called_as: &str) -> String {
    let mut text = format!(
        "{}\n\n{}\n",
        usage_lines(program, command, called_as),
        command.about
    );
    if command.paths.len() > 1 {
        let names: Vec<_> = command
            .paths
            .iter()
            .map(|path| format!("{program} {path}"))
            .collect();
        let _ = write!(text, "\nAliases:\n  {}\n", names.join(", "));
    }
    options(&mut text, "Options", command.flags());
    text
}

/// `help run`, `help container ls`.
pub(crate) fn topic(program: &str, words: &[String]) -> Outcome {
    let path = words.join(" ");
    if words.is_empty() {
        print(&top(program))
    } else if let Some((name, about)) = ROLES.iter().find(|(name, _)| path == *name) {
        print(&format!(
            "{about}\n\nRun '{program} {name} --help' for its options.\n"
        ))
    } else if let Some(found) = commands::find(&path) {
        print(&command(program, found, &path))
    } else if let Some(found) = commands::group(&path) {
        print(&group(program, found))
    } else {
        Err(Failure::new(format!("unknown help topic: {path}")))
    }
}

fn top_level_name(command: &Command) -> Option<&'static str> {
    command
        .paths
        .iter()
        .copied()
        .find(|path| !path.contains(' '))
}

fn section(text: &mut String, title: &str, rows: &[(String, &str)]) {
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let _ = write!(text, "\n{title}:\n");
    for (name, about) in rows {
        let _ = writeln!(text, "  {name:width$}  {about}");
    }
}

fn options<'a>(text: &mut String, title: &str, flags: impl Iterator<Item = &'a Flag>) {
    let mut rows: Vec<_> = flags
        .filter(|flag| is_shown(flag))
        .map(|flag| (flag.long, spelled(flag), flag.about))
        .collect();
    if rows.is_empty() {
        return;
    }
    rows.sort();
    let column = rows
        .iter()
        .map(|(_, name, _)| name.len())
        .max()
        .unwrap_or(0)
        + 5;
    let _ = write!(text, "\n{title}:\n");
    for (_, name, about) in rows {
        let mut lines = fold(about, WIDTH.saturating_sub(column)).into_iter();
        let _ = writeln!(
            text,
            "  {name:width$}{}",
            lines.next().unwrap_or_default(),
            width = column - 2
        );
        for line in lines {
            let _ = writeln!(text, "{:column$}{line}", "");
        }
    }
}

fn is_shown(flag: &Flag) -> bool {
    !flag.about.is_empty()
}

fn spelled(flag: &Flag) -> String {
    let short = flag
        .short
        .map_or("    ".to_owned(), |letter| format!("-{letter}, "));
    match (flag.takes(), value_name(flag)) {
        (Takes::Nothing, _) => format!("{short}--{}", flag.long),
        (Takes::Value, name) => format!("{short}--{} {name}", flag.long),
    }
}

fn value_name(flag: &Flag) -> &'static str {
    match flag.kind {
        Kind::Int | Kind::Uint => "int",
        Kind::List => "list",
        Kind::Checked(name, _) | Kind::CheckedList(name, _) => name,
        _ => "string",
    }
}

/// Folds at spaces.
fn fold(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last_mut().expect("there is always a line");
        if line.is_empty() {
            line.push_str(word);
        } else if line.len() + 1 + word.len() <= width {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_role_of_the_file_is_listed() {
        let text = top("tare");
        for (name, about) in ROLES {
            let row =
                |line: &&str| line.starts_with(&format!("  {name} ")) && line.ends_with(about);
            assert!(text.lines().any(|line| row(&line)), "{name}");
            assert_eq!(
                topic("tare", &[name.to_owned()]),
                Ok(crate::failure::Exit::OK)
            );
        }
    }
}
