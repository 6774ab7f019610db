//! A key out of a `SubjectPublicKeyInfo` (RFC 5280, 4.1).

use crate::der::{BIT_STRING, OBJECT_ID, SEQUENCE, value};

/// The algorithm's object identifier, the curve's if there is one, and the key itself.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Spki<'d> {
    pub(super) algorithm: &'d [u8],
    pub(super) curve: Option<&'d [u8]>,
    pub(super) key: &'d [u8],
}

/// Reads `SEQUENCE { SEQUENCE { OID, params }, BIT STRING }`.
pub(super) fn spki(der: &[u8]) -> Option<Spki<'_>> {
    let (body, rest) = value(der, SEQUENCE)?;
    let (head, body) = value(body, SEQUENCE)?;
    let (algorithm, parameters) = value(head, OBJECT_ID)?;
    let (bits, after) = value(body, BIT_STRING)?;
    let (unused, key) = bits.split_first()?;
    (rest.is_empty() && after.is_empty() && *unused == 0).then_some(Spki {
        algorithm,
        curve: value(parameters, OBJECT_ID).map(|(curve, _)| curve),
        key,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn keys_come_out() {
        let der = [
            0x30, 0x0c, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x03, 0x00, 0xaa, 0xbb,
        ];
        let read = spki(&der).unwrap();
        assert_eq!(
            (read.algorithm, read.curve, read.key),
            (&[0x2b, 0x65, 0x70][..], None, &[0xaa, 0xbb][..])
        );
        assert_eq!(spki(&der[..13]), None);
        assert_eq!(spki(&[]), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let _ = spki(&bytes);
        }
    }
}
