use proptest::prelude::*;

use super::*;

fn decode_all(bytes: &[u8], step: usize) -> Vec<(u8, Vec<u8>)> {
    let mut decoder = Decoder::default();
    let mut frames = Vec::new();
    for piece in bytes.chunks(step) {
        decoder.push(piece);
        while let Some(frame) = decoder.next_frame().unwrap() {
            frames.push((frame.byte, frame.payload.to_vec()));
        }
    }
    assert_eq!(decoder.pending(), 0);
    frames
}

fn message(bytes: &[u8]) -> Result<Message<'static>, FrameError> {
    let mut decoder = Decoder::default();
    decoder.push(bytes);
    let message = decoder.next_frame()?.expect("a whole frame").message()?;
    Ok(match message {
        Message::Stdin(_) | Message::Stdout(_) | Message::Stderr(_) => panic!("raw"),
        Message::Request(request) => Message::Request(request),
        Message::Hello(hello) => Message::Hello(hello),
        Message::Reply(reply) => Message::Reply(reply),
        Message::Event(event) => Message::Event(event),
        Message::Unknown(byte) => Message::Unknown(byte),
        other => panic!("{other:?}"),
    })
}

fn frame(kind: u8, payload: &str) -> Vec<u8> {
    let mut bytes = (payload.len() as u32 + 1).to_le_bytes().to_vec();
    bytes.push(kind);
    bytes.extend_from_slice(payload.as_bytes());
    bytes
}

#[test]
fn what_is_sent_is_what_is_read() {
    let exec = Op::Exec {
        id: "e1".into(),
        process: Box::default(),
        tty: true,
        stdin: false,
        size: Some((80, 24)),
    };
    for op in [
        Op::Start,
        exec,
        Op::Signal {
            process: INIT.into(),
            signal: 15,
            all: false,
        },
        Op::State,
    ] {
        let request = Request { seq: 7, op };
        let mut bytes = Vec::new();
        encode(Kind::Request, &request, &mut bytes);
        assert_eq!(message(&bytes).unwrap(), Message::Request(Ok(request)));
    }
    let state = State {
        version: 1,
        id: "x".into(),
        phase: Phase::Running,
        pid: 3,
        started_at: None,
        oom_killed: false,
        execs: vec![],
    };
    for result in [
        Ok(Value::State(Box::new(state))),
        Err(OpError {
            kind: ErrorKind::Conflict,
            message: "no".into(),
        }),
    ] {
        let reply = Reply { seq: 1, result };
        let mut bytes = Vec::new();
        encode(Kind::Reply, &reply, &mut bytes);
        assert_eq!(message(&bytes).unwrap(), Message::Reply(reply));
    }
}

#[test]
fn a_later_version_is_understood() {
    let hello = message(&frame(
        1,
        r#"{"version":9,"role":{"attach":{"stdout":true,"new":1}},"more":[]}"#,
    ))
    .unwrap();
    let role = Role::Attach(Attach {
        stdout: true,
        ..Attach::default()
    });
    assert_eq!(hello, Message::Hello(Hello { version: 9, role }));
    let request = message(&frame(
        4,
        r#"{"seq":3,"op":{"type":"checkpoint","path":"/x"}}"#,
    ))
    .unwrap();
    assert_eq!(
        request,
        Message::Request(Ok(Request {
            seq: 3,
            op: Op::Unknown
        }))
    );
    assert_eq!(
        message(&frame(6, r#"{"type":"migrated"}"#)).unwrap(),
        Message::Event(Event::Unknown)
    );
    assert_eq!(message(&frame(99, "?")).unwrap(), Message::Unknown(99));
    let reply = message(&frame(
        5,
        r#"{"seq":3,"result":{"Err":{"kind":"novel","message":"m"}}}"#,
    ))
    .unwrap();
    assert!(matches!(
        reply,
        Message::Reply(Reply {
            result: Err(OpError {
                kind: ErrorKind::System,
                ..
            }),
            ..
        })
    ));
}

#[test]
fn a_request_without_sense_is_answered_by_its_number() {
    let Message::Request(Err(reply)) =
        message(&frame(4, r#"{"seq":5,"op":{"type":"signal"}}"#)).unwrap()
    else {
        panic!()
    };
    assert_eq!(reply.seq, 5);
    assert!(matches!(
        message(&frame(4, "{}")),
        Err(FrameError::Payload { .. })
    ));
}

#[test]
fn lengths_are_bounded() {
    for length in [0_u32, MAX_FRAME as u32 + 1, u32::MAX] {
        let mut decoder = Decoder::default();
        decoder.push(&length.to_le_bytes());
        assert!(
            matches!(decoder.next_frame(), Err(FrameError::Length(_))),
            "{length}"
        );
    }
}

#[test]
fn much_output_is_split() {
    let mut bytes = Vec::new();
    encode_raw(Kind::Stdout, &vec![7; 3 * MAX_FRAME], &mut bytes);
    let frames = decode_all(&bytes, 100_000);
    assert!(frames.len() == 4 && frames.iter().map(|f| f.1.len()).sum::<usize>() == 3 * MAX_FRAME);
}

proptest! {
    #[test]
    fn frames_survive_any_cut(payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..8), step in 1_usize..64) {
        let mut bytes = Vec::new();
        for payload in &payloads {
            encode_raw(Kind::Stdin, payload, &mut bytes);
        }
        let expect: Vec<_> = payloads.into_iter().map(|p| (Kind::Stdin as u8, p)).collect();
        prop_assert_eq!(decode_all(&bytes, step), expect);
    }

    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let mut decoder = Decoder::default();
        decoder.push(&bytes);
        while let Ok(Some(frame)) = decoder.next_frame() {
            let _ = frame.message();
        }
    }

    #[test]
    fn any_json_is_survived(kind in 1_u8..8, text in "[\\[\\]{}\":,a-z0-9]{0,60}") {
        let bytes = frame(kind, &text);
        let mut decoder = Decoder::default();
        decoder.push(&bytes);
        let _ = decoder.next_frame().unwrap().unwrap().message();
    }
}
