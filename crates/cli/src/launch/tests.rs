use super::*;
use crate::launch::all;

/// Runs words up to where a command would run; returns what the user reads and the status.
fn told(line: &str) -> (String, u8) {
    let words = line.split_whitespace().map(str::to_owned).collect();
    match dispatch("docker", words) {
        Ok(Exit(status)) => (String::new(), status),
        Err(failure) => (failure.message, failure.status),
    }
}

#[test]
fn wrong_lines_are_told_in_dockers_words() {
    let check = |line: &str, text: &str, status: u8| {
        assert_eq!(told(line), (text.to_owned(), status), "{line}");
    };
    check(
        "wait",
        "docker: 'docker wait' requires at least 1 argument\n\nUsage:  docker wait CONTAINER [CONTAINER...]\n\nSee 'docker wait --help' for more information",
        1,
    );
    check(
        "rename a",
        "docker: 'docker rename' requires 2 arguments\n\nUsage:  docker rename CONTAINER NEW_NAME\n\nRun 'docker rename --help' for more information",
        1,
    );
    check(
        "run --nope busybox",
        "unknown flag: --nope\n\nUsage:  docker run [OPTIONS] IMAGE [COMMAND] [ARG...]\n\nRun 'docker run --help' for more information",
        125,
    );
    check(
        "cp a",
        "docker: 'docker cp' requires 2 arguments\n\nUsage:  docker cp [OPTIONS] CONTAINER:SRC_PATH DEST_PATH|-\n\tdocker cp [OPTIONS] SRC_PATH|- CONTAINER:DEST_PATH\n\nRun 'docker cp --help' for more information",
        1,
    );
    check(
        "nope",
        "docker: unknown command: docker nope\n\nRun 'docker --help' for more information",
        1,
    );
    check(
        "container nope",
        "docker: unknown command: docker container nope\n\nUsage:  docker container\n\nRun 'docker container --help' for more information",
        1,
    );
    check(
        "--nope",
        "unknown flag: --nope\n\nUsage:  docker [OPTIONS] COMMAND [ARG...]\n\nRun 'docker --help' for more information",
        125,
    );
    check("build .", "docker: not built yet: docker build", 1);
    check("help nope", "unknown help topic: nope", 1);
}

#[test]
fn the_table_has_no_doubles() {
    let mut names: Vec<_> = all().flat_map(|command| command.paths).collect();
    names.sort();
    let count = names.len();
    names.dedup();
    assert_eq!(names.len(), count);
    for command in all() {
        let mut flags: Vec<_> = command.flags().map(|flag| flag.long).collect();
        let mut shorts: Vec<_> = command.flags().filter_map(|flag| flag.short).collect();
        let counts = (flags.len(), shorts.len());
        flags.sort_unstable();
        flags.dedup();
        shorts.sort_unstable();
        shorts.dedup();
        assert_eq!((flags.len(), shorts.len()), counts, "{}", command.name());
    }
}
