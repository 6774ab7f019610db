use std::fs;
use std::path::Path;

use proptest::prelude::*;

use super::*;

fn config(driver: Driver, folder: &Path) -> Config {
    Config {
        driver,
        path: folder.join("c-json.log"),
        max_file: 5,
        ..Config::default()
    }
}

fn at(nanos: i64) -> Timestamp {
    Timestamp::from_nanos(1_700_000_000_000_000_000 + nanos)
}

fn read(config: &Config, query: Query) -> Vec<(Stream, Timestamp, Vec<u8>)> {
    drain(&mut Reader::open(config.driver, &config.path, query).unwrap())
}

fn drain(reader: &mut Reader) -> Vec<(Stream, Timestamp, Vec<u8>)> {
    let mut lines = Vec::new();
    while let Some(entry) = reader.next_entry().unwrap() {
        lines.push((entry.stream, entry.at, entry.line.to_vec()));
    }
    lines
}

fn texts(lines: &[(Stream, Timestamp, Vec<u8>)]) -> String {
    lines
        .iter()
        .map(|line| String::from_utf8_lossy(&line.2).into_owned())
        .collect()
}

#[test]
fn bytes_are_dockers() {
    let folder = tempfile::tempdir().unwrap();
    let config = Config {
        attrs: [
            ("tag".to_owned(), "a<b".to_owned()),
            ("env".to_owned(), "x".to_owned()),
        ]
        .into(),
        ..config(Driver::JsonFile, folder.path())
    };
    let mut writer = Writer::open(&config).unwrap();
    writer
        .write(
            Stream::Stdout,
            b"a\t\"q\" <&> \\ \x7f \r\n\xff\xe2\x82 \xe2\x80\xa8 \xe2\x82\xac\n",
            at(5),
        )
        .unwrap();
    writer
        .write(Stream::Stderr, b"half", at(120_000_000))
        .unwrap();
    writer.finish(at(130_000_000)).unwrap();
    let attrs = r#""attrs":{"env":"x","tag":"a\u003cb"}"#;
    let expect = [
        format!(
            r#"{{"log":"a\u0009\"q\" \u003c\u0026\u003e \\ {} \r\n","stream":"stdout",{attrs},"time":"2023-11-14T22:13:20.000000005Z"}}"#,
            '\x7f'
        ),
        format!(
            r#"{{"log":"\ufffd\ufffd\ufffd \u2028 €\n","stream":"stdout",{attrs},"time":"2023-11-14T22:13:20.000000005Z"}}"#
        ),
        format!(r#"{{"log":"half","stream":"stderr",{attrs},"time":"2023-11-14T22:13:20.13Z"}}"#),
    ];
    assert_eq!(
        fs::read_to_string(&config.path).unwrap(),
        expect.join("\n") + "\n"
    );
    let mut reader = Reader::open(config.driver, &config.path, Query::default()).unwrap();
    assert_eq!(
        reader.next_entry().unwrap().unwrap().attrs,
        "env=x,tag=a%3Cb"
    );
}

#[test]
fn long_lines_are_cut_like_dockers() {
    for driver in [Driver::JsonFile, Driver::Local] {
        let folder = tempfile::tempdir().unwrap();
        let config = config(driver, folder.path());
        let mut writer = Writer::open(&config).unwrap();
        let line = [vec![b'x'; 40_000], b"\n".to_vec()].concat();
        for (index, piece) in line.chunks(3000).enumerate() {
            writer
                .write(Stream::Stdout, piece, at(index as i64))
                .unwrap();
        }
        writer
            .write(
                Stream::Stdout,
                &[vec![b'y'; 16384], b"\nz".to_vec()].concat(),
                at(99),
            )
            .unwrap();
        writer.finish(at(100)).unwrap();
        let lines = read(&config, Query::default());
        let lengths: Vec<_> = lines.iter().map(|line| line.2.len()).collect();
        assert_eq!(
            lengths,
            [16384, 16384, 40_001 - 32768, 16385, 1],
            "{driver:?}"
        );
        assert!(
            lines[..3].iter().all(|line| line.1 == at(5)),
            "pieces carry the first one's moment"
        );
    }
}

#[test]
fn a_cut_never_splits_a_character() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(Driver::JsonFile, folder.path());
    let line = "x€".repeat(20_000) + "\n";
    let mut writer = Writer::open(&config).unwrap();
    writer
        .write(Stream::Stdout, line.as_bytes(), at(0))
        .unwrap();
    assert_eq!(texts(&read(&config, Query::default())), line);
}

#[test]
fn rotation_keeps_the_newest_files() {
    for (driver, compress) in [
        (Driver::JsonFile, false),
        (Driver::JsonFile, true),
        (Driver::Local, true),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let config = Config {
            max_size: Some(4000),
            max_file: 3,
            compress,
            ..config(driver, folder.path())
        };
        let mut writer = Writer::open(&config).unwrap();
        for number in 0..1000 {
            writer
                .write(
                    Stream::Stdout,
                    format!("line {number}\n").as_bytes(),
                    at(number),
                )
                .unwrap();
            while number % 10 == 0 && writer.compress_some().unwrap() {}
        }
        while writer.compress_some().unwrap() {}
        let extension = if compress { ".gz" } else { "" };
        let mut names: Vec<_> = fs::read_dir(folder.path())
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(
            names,
            [
                "c-json.log".to_owned(),
                format!("c-json.log.1{extension}"),
                format!("c-json.log.2{extension}")
            ]
        );
        let lines = read(&config, Query::default());
        let first = 1000 - lines.len();
        let expect: String = (first..1000)
            .map(|number| format!("line {number}\n"))
            .collect();
        assert_eq!(texts(&lines), expect, "{driver:?}");
        for tail in [0, 1, 7, 60, 90, 5000] {
            let kept = lines.len().min(tail as usize);
            let found = read(
                &config,
                Query {
                    tail: Some(tail),
                    ..Query::default()
                },
            );
            assert_eq!(found, lines[lines.len() - kept..], "{driver:?} {tail}");
        }
    }
}

#[test]
fn one_file_is_started_anew() {
    let folder = tempfile::tempdir().unwrap();
    let config = Config {
        max_size: Some(100),
        max_file: 1,
        ..config(Driver::JsonFile, folder.path())
    };
    let mut writer = Writer::open(&config).unwrap();
    let mut reader = Reader::open(config.driver, &config.path, Query::default()).unwrap();
    for text in ["one\n", "two\n", "three\n"] {
        writer
            .write(Stream::Stdout, text.as_bytes(), at(1))
            .unwrap();
        assert_eq!(texts(&drain(&mut reader)), text);
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn times_bound_what_is_read() {
    for driver in [Driver::JsonFile, Driver::Local] {
        let folder = tempfile::tempdir().unwrap();
        let config = config(driver, folder.path());
        let mut writer = Writer::open(&config).unwrap();
        for second in 0..10 {
            writer
                .write(
                    Stream::Stdout,
                    format!("{second}\n").as_bytes(),
                    at(second * 1_000_000_000),
                )
                .unwrap();
        }
        let query = Query {
            since: Some(at(3_000_000_000)),
            until: Some(at(6_000_000_000)),
            tail: None,
        };
        let mut reader = Reader::open(driver, &config.path, query).unwrap();
        assert_eq!(texts(&drain(&mut reader)), "3\n4\n5\n6\n");
        assert!(reader.is_finished());
    }
}

#[test]
fn a_follower_sees_every_line_through_rotations() {
    for driver in [Driver::JsonFile, Driver::Local] {
        let folder = tempfile::tempdir().unwrap();
        let config = Config {
            max_size: Some(500),
            max_file: 4,
            ..config(driver, folder.path())
        };
        let mut reader = Reader::open(driver, &config.path, Query::default()).unwrap();
        assert!(reader.next_entry().unwrap().is_none());
        let mut writer = Writer::open(&config).unwrap();
        let (mut seen, mut expect) = (String::new(), String::new());
        for number in 0..300 {
            let line = format!("line {number}\n");
            writer
                .write(Stream::Stderr, line.as_bytes(), at(number))
                .unwrap();
            expect += &line;
            if number % 7 == 0 {
                seen += &texts(&drain(&mut reader));
            }
        }
        seen += &texts(&drain(&mut reader));
        assert_eq!(seen, expect, "{driver:?}");
    }
}

#[test]
fn a_killed_writer_leaves_a_log_that_goes_on() {
    for driver in [Driver::JsonFile, Driver::Local] {
        let folder = tempfile::tempdir().unwrap();
        let config = config(driver, folder.path());
        Writer::open(&config)
            .unwrap()
            .write(Stream::Stdout, b"one\ntwo\n", at(0))
            .unwrap();
        let size = fs::metadata(&config.path).unwrap().len();
        fs::OpenOptions::new()
            .write(true)
            .open(&config.path)
            .unwrap()
            .set_len(size - 5)
            .unwrap();
        assert_eq!(texts(&read(&config, Query::default())), "one\n");
        assert_eq!(
            texts(&read(
                &config,
                Query {
                    tail: Some(1),
                    ..Query::default()
                }
            )),
            "one\n"
        );
        Writer::open(&config)
            .unwrap()
            .write(Stream::Stdout, b"three\n", at(1))
            .unwrap();
        assert_eq!(
            texts(&read(&config, Query::default())),
            "one\nthree\n",
            "{driver:?}"
        );
    }
}

#[test]
fn none_keeps_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(Driver::None, folder.path());
    let mut writer = Writer::open(&config).unwrap();
    writer.write(Stream::Stdout, b"x\n", at(0)).unwrap();
    writer.finish(at(0)).unwrap();
    assert!(!config.path.exists());
    assert!(read(&config, Query::default()).is_empty());
}

proptest! {
    #[test]
    fn what_is_written_is_read(chunks in prop::collection::vec(("[a-z\"\\\\<\n\r\t€\u{2028}\u{1f600}]{0,40}", any::<bool>()), 0..20), local in any::<bool>()) {
        let folder = tempfile::tempdir().unwrap();
        let config = config(if local { Driver::Local } else { Driver::JsonFile }, folder.path());
        let mut writer = Writer::open(&config).unwrap();
        let mut expect = [String::new(), String::new()];
        for (index, (text, error)) in chunks.iter().enumerate() {
            let stream = if *error { Stream::Stderr } else { Stream::Stdout };
            expect[stream as usize].push_str(text);
            writer.write(stream, text.as_bytes(), at(index as i64)).unwrap();
        }
        writer.finish(at(99)).unwrap();
        let lines = read(&config, Query::default());
        for stream in [Stream::Stdout, Stream::Stderr] {
            let found: Vec<_> = lines.iter().filter(|line| line.0 == stream).cloned().collect();
            prop_assert_eq!(texts(&found), expect[stream as usize].as_str());
        }
    }

    #[test]
    fn any_file_is_survived(bytes in prop::collection::vec(any::<u8>(), 0..400), local in any::<bool>(), tail in prop::option::of(0_u64..5)) {
        let folder = tempfile::tempdir().unwrap();
        let config = config(if local { Driver::Local } else { Driver::JsonFile }, folder.path());
        fs::write(&config.path, &bytes).unwrap();
        let _ = read(&config, Query { tail, ..Query::default() });
        Writer::open(&config).unwrap().write(Stream::Stdout, b"x\n", at(0)).unwrap();
        prop_assert_eq!(texts(&read(&config, Query { since: Some(at(0)), ..Query::default() })).ends_with("x\n"), true);
    }

    #[test]
    fn json_is_json(text in prop::collection::vec(any::<u8>(), 0..80)) {
        let mut line = Vec::new();
        let mut suffix = Vec::new();
        json::suffix(Stream::Stdout, b"", at(0), &mut suffix);
        json::encode(&text, true, &suffix, &mut line);
        let value: serde_json::Value = serde_json::from_slice(&line).unwrap();
        let mut expect = String::new();
        for chunk in text.utf8_chunks() {
            expect.push_str(chunk.valid());
            expect.extend(chunk.invalid().iter().map(|_| '\u{fffd}'));
        }
        prop_assert_eq!(value["log"].as_str().unwrap(), expect + "\n");
    }
}
