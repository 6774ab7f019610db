use std::os::fd::AsFd as _;

use proptest::prelude::*;

use super::*;

fn id(number: u8) -> Identity {
    format!("{number:02x}").repeat(32).parse().unwrap()
}

fn serve() -> Request {
    Request {
        seq: 7,
        op: Op::Serve(Server {
            id: "c".into(),
            networks: vec![id(1)],
            private: Vec::new(),
            upstreams: vec![Upstream {
                address: "10.0.0.1:53".parse().unwrap(),
                from: Side::Host,
            }],
        }),
    }
}

#[test]
fn frames_arrive_with_their_descriptors() {
    let (a, b) = linux::socket::pair().unwrap();
    let (reader, writer) = linux::fd::pipe().unwrap();
    send(&a, &serve(), &[writer.as_fd(), reader.as_fd()]).unwrap();
    let plain = Request {
        seq: 8,
        op: Op::End,
    };
    send(&a, &plain, &[]).unwrap();
    drop(a);
    let mut decoder = Decoder::default();
    while receive(&b, &mut decoder).unwrap() {}
    let (first, fds): (Request, _) = decoder.next_frame().unwrap().unwrap();
    assert_eq!((first, fds.len()), (serve(), 2));
    linux::file::write_all(&fds[0], b"x").unwrap();
    assert_eq!(linux::file::read_some(&fds[1], 8).unwrap(), b"x");
    let (second, fds): (Request, _) = decoder.next_frame().unwrap().unwrap();
    assert_eq!((second, fds.len()), (plain, 0));
    assert!(decoder.next_frame::<Request>().unwrap().is_none());
}

#[test]
fn a_large_table_travels() {
    let (a, b) = linux::socket::pair().unwrap();
    let named = |number: u32| Named {
        endpoint: id(number as u8),
        names: vec![format!("container-{number}")],
        addresses: vec![std::net::Ipv4Addr::from(number).into()],
    };
    let zone = Zone {
        network: id(1),
        name: "n".into(),
        entries: (0..5000).map(named).collect(),
    };
    let request = Request {
        seq: 1,
        op: Op::Names(zone),
    };
    std::thread::scope(|scope| {
        scope.spawn(|| send(&a, &request, &[]).unwrap());
        let mut decoder = Decoder::default();
        loop {
            assert!(receive(&b, &mut decoder).unwrap());
            if let Some((got, _)) = decoder.next_frame::<Request>().unwrap() {
                assert!(got == request);
                break;
            }
        }
    });
}

#[test]
fn what_a_later_version_says_is_read() {
    let read = |json: &str| serde_json::from_str::<Request>(json).unwrap().op;
    assert_eq!(read(r#"{"seq":1,"op":{"type":"dance"}}"#), Op::Unknown);
    assert_eq!(
        read(r#"{"seq":1,"op":{"type":"hello","version":9,"more":[]}}"#),
        Op::Hello { version: 9 }
    );
}

#[test]
fn descriptors_that_are_missing_break_the_stream() {
    let mut decoder = Decoder::default();
    let json = br#"{"seq":1,"op":{"type":"end"}}"#;
    let mut frame = (json.len() as u32 + 1).to_le_bytes().to_vec();
    frame.push(1);
    frame.extend_from_slice(json);
    decoder.push(&frame, Vec::new());
    assert!(matches!(
        decoder.next_frame::<Request>(),
        Err(FrameError::Descriptors {
            wanted: 1,
            there: 0
        })
    ));
}

proptest! {
    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..300), cut in 0usize..300) {
        let mut decoder = Decoder::default();
        let cut = cut.min(bytes.len());
        decoder.push(&bytes[..cut], Vec::new());
        let _ = decoder.next_frame::<Request>();
        decoder.push(&bytes[cut..], Vec::new());
        for _ in 0..4 {
            if decoder.next_frame::<Request>().is_err() { break; }
        }
    }

    #[test]
    fn damaged_frames_are_survived(at in 0usize..200, byte in any::<u8>()) {
        let mut frame = vec![0; 5];
        serde_json::to_writer(&mut frame, &serve()).unwrap();
        let length = (frame.len() - 4) as u32;
        frame[..4].copy_from_slice(&length.to_le_bytes());
        if let Some(there) = frame.get_mut(at) { *there = byte; }
        let mut decoder = Decoder::default();
        decoder.push(&frame, Vec::new());
        let _ = decoder.next_frame::<Request>();
    }
}
