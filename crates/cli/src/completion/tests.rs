use super::*;

/// What is offered for these words, without descriptions; the daemon is nobody.
fn offered(line: &str) -> Vec<String> {
    let words: Vec<String> = format!("-H unix:///nonexistent/tare.sock {line}")
        .split(' ')
        .map(str::to_owned)
        .collect();
    let text = answer("tare", &words);
    text.lines()
        .map(|line| line.split('\t').next().unwrap_or_default().to_owned())
        .collect()
}

#[test]
fn commands_are_offered_by_their_beginning() {
    assert_eq!(offered("ru"), ["run", ":4"]);
    assert_eq!(
        offered("volume "),
        ["create", "inspect", "ls", "prune", "rm", ":4"]
    );
    assert_eq!(offered("image pu"), ["pull", "push", ":4"]);
    assert!(offered("").contains(&"container".to_owned()));
    assert_eq!(offered("no-such-command x"), [":0"]);
}

#[test]
fn flags_are_offered_where_they_may_stand() {
    assert_eq!(offered("ps --f"), ["--filter", "--format", ":4"]);
    assert!(offered("run -").contains(&"-e".to_owned()));
    assert!(!offered("run -").contains(&"--publish".to_owned()) || offered("run --pub").len() > 1);
    assert_eq!(offered("run busybox -"), [":4"]);
    assert_eq!(offered("exec c -"), [":4"]);
    assert_eq!(offered("rm -- -"), [":4"]);
    assert_eq!(offered("--vers"), ["--version", ":4"]);
}

#[test]
fn values_of_flags_are_offered() {
    assert_eq!(offered("run --pull "), ["always", "missing", "never", ":4"]);
    assert_eq!(offered("run --pull=m"), ["missing", ":4"]);
    assert_eq!(
        offered("run -it -a st"),
        ["stderr", "stdin", "stdout", ":4"]
    );
    assert_eq!(offered("load -i "), [":0"]);
    assert_eq!(offered("ps --nope "), [":4"]);
    assert_eq!(offered("completion "), ["bash", "fish", "zsh", ":4"]);
}

#[test]
fn a_daemon_that_is_not_there_is_no_error() {
    assert_eq!(offered("rm "), [":4"]);
    assert_eq!(offered("inspect "), [":4"]);
    assert_eq!(answer("tare", &[]), ":4\n");
}
