use proptest::prelude::*;

use super::*;

#[test]
fn what_is_written_can_be_read() {
    let mut batch = Batch::new();
    batch
        .message(16, flag::ACK, &[1, 2, 3], "do one thing")
        .text(3, "eth0")
        .nest(18, |info| {
            info.text(1, "veth").u16(2, 7).nest(3, |data| {
                data.u8(1, 9);
            });
        });
    batch.message(17, 0, &[], "do another").be32(1, 5);
    assert_eq!(batch.number(6), 8);
    let messages: Vec<_> = Messages::new(batch.bytes()).collect();
    assert_eq!(messages.len(), 2);
    assert_eq!((messages[0].kind, messages[0].sequence), (16, 7));
    assert_eq!(messages[0].flags, flag::ACK | flag::REQUEST);
    let attributes = messages[0].attributes(4);
    assert_eq!(attributes.text(3), Some("eth0"));
    let info = attributes.nested(18);
    assert_eq!(info.text(1), Some("veth"));
    assert_eq!(info.nested(3).get(1), Some(&[9][..]));
    assert_eq!(messages[1].attributes(0).be32(1), Some(5));
    assert_eq!(batch.doing(Some(8)), "failed to do another");
    assert_eq!(batch.doing(None), "failed to do one thing");
}

#[test]
fn the_kernel_s_words_are_kept() {
    let mut connection = Connection::open(Protocol::Route).unwrap();
    let mut batch = Batch::new();
    let fixed = [0; 16];
    batch
        .message(16, flag::ACK | flag::CREATE, &fixed, "create a link")
        .nest(18, |info| {
            info.text(1, "nosuchkind");
        });
    let error = connection.run(batch).unwrap_err();
    assert_eq!(error.to_string(), "failed to create a link");
    assert_eq!(error.errno(), Some(Errno::OPNOTSUPP));
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.starts_with("Unknown device type"), "{source}");
}

proptest! {
    #[test]
    fn no_answer_makes_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        for message in Messages::new(&bytes) {
            let _ = refusal(&message);
            for (_, value) in message.attributes(4) {
                for (_, inner) in Attributes::new(value) {
                    prop_assert!(inner.len() < bytes.len());
                }
            }
        }
    }

    #[test]
    fn no_error_message_makes_it_panic(
        flags in any::<u16>(), payload in prop::collection::vec(any::<u8>(), 0..80),
    ) {
        for kind in [ERROR, DONE] {
            let _ = refusal(&Message { kind, flags, sequence: 1, port: 0, payload: &payload });
        }
    }
}
