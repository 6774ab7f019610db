use super::*;

static FLAGS: &[Flag] = &[
    Flag::bool("rm", None, ""),
    Flag::bool("interactive", Some('i'), ""),
    Flag::bool("tty", Some('t'), ""),
    Flag::bool("detach", Some('d'), ""),
    Flag::list("env", Some('e'), ""),
    Flag::text("name", None, ""),
    Flag::int("stop-timeout", None, ""),
    Flag::not_built("publish", Some('p'), Takes::Value),
    Flag::not_built("publish-all", Some('P'), Takes::Nothing),
];

fn read(line: &str) -> Result<Matches, FlagError> {
    let flags: Vec<_> = FLAGS.iter().collect();
    parse(
        &flags,
        Order::Before,
        line.split_whitespace().map(str::to_owned),
    )
}

/// What was given, as `long=value` words.
fn given(line: &str) -> (String, Vec<String>) {
    let matches = read(line).unwrap();
    let words: Vec<_> = matches
        .given
        .iter()
        .map(|(flag, value)| format!("{}={value}", flag.long))
        .collect();
    (words.join(" "), matches.args)
}

#[test]
fn lines_are_read_as_pflag_reads_them() {
    let check = |line: &str, flags: &str, args: &[&str]| {
        let (got, rest) = given(line);
        assert_eq!(got, flags, "{line}");
        assert_eq!(rest, args, "{line}");
    };
    check("--rm busybox true", "rm=true", &["busybox", "true"]);
    check("--rm=false busybox", "rm=false", &["busybox"]);
    check(
        "-itd busybox",
        "interactive=true tty=true detach=true",
        &["busybox"],
    );
    check(
        "-it=false busybox",
        "interactive=true tty=false",
        &["busybox"],
    );
    check(
        "-eA=1 -e B --env=C=3 --env D busybox",
        "env=A=1 env=B env=C=3 env=D",
        &["busybox"],
    );
    check("-ie A busybox", "interactive=true env=A", &["busybox"]);
    check("-e=A busybox", "env=A", &["busybox"]);
    check("-e -x busybox", "env=-x", &["busybox"]);
    check("--name= busybox", "name=", &["busybox"]);
    check(
        "busybox --rm -it -- x",
        "",
        &["busybox", "--rm", "-it", "--", "x"],
    );
    check("-- busybox --rm", "", &["busybox", "--rm"]);
    check("- --rm", "", &["-", "--rm"]);
    check("--publish-all=false x", "", &["x"]);
}

#[test]
fn errors_have_pflags_words() {
    let check =
        |line: &str, text: &str| assert_eq!(read(line).unwrap_err().to_string(), text, "{line}");
    check("--nope x", "unknown flag: --nope");
    check("--nope=1 x", "unknown flag: --nope");
    check("-Z x", "unknown shorthand flag: 'Z' in -Z");
    check("-itZd x", "unknown shorthand flag: 'Z' in -Zd");
    check("--name", "flag needs an argument: --name");
    check("-e", "flag needs an argument: 'e' in -e");
    check("---x", "bad flag syntax: ---x");
    check("--=x", "bad flag syntax: --=x");
    check(
        "--rm=abc x",
        "invalid argument \"abc\" for \"--rm\" flag: strconv.ParseBool: parsing \"abc\": invalid syntax",
    );
    check(
        "--stop-timeout=x x",
        "invalid argument \"x\" for \"--stop-timeout\" flag: strconv.ParseInt: parsing \"x\": invalid syntax",
    );
    check("-p 80 x", "not built yet: --publish");
    check("-P x", "not built yet: --publish-all");
}

#[test]
fn flags_after_arguments_count_where_they_may() {
    let flags: Vec<_> = FLAGS.iter().collect();
    let words = ["a", "--rm", "b", "--", "-t"].map(str::to_owned);
    let matches = parse(&flags, Order::Anywhere, words).unwrap();
    assert!(matches.flag("rm") && !matches.flag("tty"));
    assert_eq!(matches.args, ["a", "b", "-t"]);
}
