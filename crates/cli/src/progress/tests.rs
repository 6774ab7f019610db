use api::types::progress::ProgressDetail;

use super::*;

fn step(id: &str, status: &str, current: i64, total: i64) -> Progress {
    Progress {
        id: id.into(),
        status: status.into(),
        progress_detail: Some(ProgressDetail {
            current,
            total,
            ..ProgressDetail::default()
        }),
        ..Progress::default()
    }
}

/// What Docker's client sends to a terminal for these messages.
fn shown(messages: &[Progress], is_terminal: bool, width: u32) -> String {
    let mut screen = Screen::new(is_terminal);
    messages
        .iter()
        .map(|message| screen.text(message, width))
        .collect()
}

fn pull() -> Vec<Progress> {
    let mut first = Progress::status("Pulling from x");
    first.id = "2".into();
    vec![
        first,
        step("b19", "Pulling fs layer", 0, 0),
        step("c20", "Waiting", 0, 0),
        step("b19", "Downloading", 36_450, 3_002_000),
        step("c20", "Download complete", 0, 0),
        step("b19", "Extracting", 3_002_000, 3_002_000),
        Progress::status("Digest: sha256:1"),
    ]
}

#[test]
fn a_terminal_has_a_line_for_each_layer() {
    assert_eq!(
        shown(&pull(), true, 200),
        "2: Pulling from x\n\
         \n\x1b[1A\x1b[2K\rb19: Pulling fs layer \r\x1b[1B\
         \n\x1b[1A\x1b[2K\rc20: Waiting \r\x1b[1B\
         \x1b[2A\x1b[2K\rb19: Downloading [>                                                  ]  36.45kB/3.002MB\r\x1b[2B\
         \x1b[1A\x1b[2K\rc20: Download complete \r\x1b[1B\
         \x1b[2A\x1b[2K\rb19: Extracting [==================================================>]  3.002MB/3.002MB\r\x1b[2B\
         Digest: sha256:1\n"
    );
}

#[test]
fn a_narrow_terminal_has_numbers_only() {
    let text = shown(&[step("b19", "Downloading", 36_450, 3_002_000)], true, 80);
    assert_eq!(
        text,
        "\n\x1b[1A\x1b[2K\rb19: Downloading  36.45kB/3.002MB\r\x1b[1B"
    );
}

#[test]
fn a_pipe_gets_only_what_is_final() {
    assert_eq!(
        shown(&pull(), false, 0),
        "2: Pulling from x\nb19: Pulling fs layer\nc20: Waiting\nc20: Download complete\nDigest: sha256:1\n"
    );
    assert_eq!(
        shown(&[Progress::stream("Loaded image: x\n")], false, 0),
        "Loaded image: x\n"
    );
}

#[test]
fn a_bar_never_leaves_its_frame() {
    let text =
        |current, total| bar::text(&step("", "", current, total).progress_detail.unwrap(), 200);
    assert_eq!(text(-5, 0), "");
    assert_eq!(text(1500, 0), "   1.5kB");
    assert_eq!(text(i64::MAX, 1), format!("[{}>]  9.223EB", "=".repeat(50)));
    assert_eq!(
        text(1, i64::MAX),
        format!("[>{}]       1B/9.223EB", " ".repeat(50))
    );
    assert_eq!(
        text(-1, 100),
        format!("[>{}]      -1B/100B", " ".repeat(50))
    );
}

#[test]
fn a_failure_keeps_its_words() {
    let message = Progress::failure("unexpected EOF");
    assert_eq!(failure(&message), Some(Failure::new("unexpected EOF")));
    assert_eq!(shown(&[message], true, 80), "");
    assert_eq!(failure(&Progress::status("fine")), None);
}
