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
fn what_a_later_version_asks_for_is_read() {
    let read = |bytes: &[u8]| Request::get(&mut &bytes[..]).unwrap();
    let numbered = |tail: &[u8]| [&7u64.to_le_bytes()[..], tail].concat();
    assert_eq!(read(&numbered(&[99, 1, 2])).op, Op::Unknown);
    let hello = [&[1][..], &9u32.to_le_bytes(), &[5, 5]].concat();
    assert_eq!(read(&numbered(&hello)).op, Op::Hello { version: 9 });
}

#[test]
fn descriptors_that_are_missing_break_the_stream() {
    let mut decoder = Decoder::default();
    let mut frame = vec![0; 4];
    frame.push(1);
    Request {
        seq: 1,
        op: Op::End,
    }
    .put(&mut frame);
    let length = (frame.len() - 4) as u32;
    frame[..4].copy_from_slice(&length.to_le_bytes());
    decoder.push(&frame, Vec::new());
    assert!(matches!(
        decoder.next_frame::<Request>(),
        Err(FrameError::Descriptors {
            wanted: 1,
            there: 0
        })
    ));
}

fn address() -> impl Strategy<Value = SocketAddr> {
    (any::<std::net::IpAddr>(), any::<u16>()).prop_map(SocketAddr::from)
}

fn one_use() -> impl Strategy<Value = Use> {
    prop_oneof![
        Just(Use::Reserve),
        address().prop_map(|to| Use::ProxyTcp { to }),
        address().prop_map(|to| Use::ProxyUdp { to }),
    ]
}

fn named() -> impl Strategy<Value = Vec<Named>> {
    let names = prop::collection::vec(".{0,9}", 0..4);
    let addresses = prop::collection::vec(any::<std::net::IpAddr>(), 0..4);
    let one = (any::<u8>(), names, addresses).prop_map(|(number, names, addresses)| Named {
        endpoint: id(number),
        names,
        addresses,
    });
    prop::collection::vec(one, 0..4)
}

fn op() -> impl Strategy<Value = Op> {
    let upstream = (address(), any::<bool>()).prop_map(|(address, is_host)| Upstream {
        address,
        from: if is_host { Side::Host } else { Side::Container },
    });
    let server = (
        "[a-f0-9]{0,64}",
        named(),
        prop::collection::vec(upstream, 0..4),
    );
    prop_oneof![
        any::<u32>().prop_map(|version| Op::Hello { version }),
        Just(Op::Kept),
        Just(Op::End),
        ".{0,9}".prop_map(|key| Op::Part { key }),
        (".{0,9}", named()).prop_map(|(name, entries)| Op::Names(Zone {
            network: id(3),
            name,
            entries
        })),
        any::<u8>().prop_map(|number| Op::Forget {
            network: id(number)
        }),
        server.prop_map(|(id_, private, upstreams)| Op::Serve(Server {
            id: id_,
            networks: vec![id(1), id(2)],
            private,
            upstreams
        })),
        ".{0,9}".prop_map(|id| Op::Unserve { id }),
        (".{0,9}", prop::collection::vec(one_use(), 0..9))
            .prop_map(|(key, sockets)| Op::Hold { key, sockets }),
        (".{0,9}", 0usize..1000).prop_map(|(key, skip)| Op::Lend { key, skip }),
        ".{0,9}".prop_map(|key| Op::Release { key }),
    ]
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
    fn what_is_put_is_got(op in op(), seq in any::<u64>()) {
        let request = Request { seq, op };
        let mut bytes = Vec::new();
        request.put(&mut bytes);
        let mut rest = &bytes[..];
        prop_assert_eq!(Request::get(&mut rest), Some(request));
        prop_assert!(rest.is_empty());
        // Cut anywhere it is none.
        for cut in 0..bytes.len() {
            prop_assert_eq!(Request::get(&mut &bytes[..cut]), None);
        }
    }

    #[test]
    fn answers_are_got(sockets in prop::collection::vec(one_use(), 0..9), text in ".{0,20}", pid in any::<u32>()) {
        let kept = Kept { networks: vec![id(1)], servers: vec![text.clone()], keys: vec![text.clone(); 3] };
        let welcome = Value::Welcome { version: 1, pid };
        for result in [Ok(Value::Done), Ok(welcome), Ok(Value::Kept(kept)), Ok(Value::Held { sockets }), Err(text)] {
            let reply = Reply { seq: 1, result };
            let mut bytes = Vec::new();
            reply.put(&mut bytes);
            prop_assert_eq!(Reply::get(&mut &bytes[..]), Some(reply));
        }
    }

    #[test]
    fn damaged_frames_are_survived(at in 0usize..200, byte in any::<u8>()) {
        let mut frame = vec![0; 5];
        serve().put(&mut frame);
        let length = (frame.len() - 4) as u32;
        frame[..4].copy_from_slice(&length.to_le_bytes());
        if let Some(there) = frame.get_mut(at) { *there = byte; }
        let mut decoder = Decoder::default();
        decoder.push(&frame, Vec::new());
        let _ = decoder.next_frame::<Request>();
    }
}
