//! Just enough DER (X.690) to find one's way in certificates and keys. Lengths beyond 16 MiB are refused.

pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const BIT_STRING: u8 = 0x03;
pub(crate) const OBJECT_ID: u8 = 0x06;
pub(crate) const SEQUENCE: u8 = 0x30;

/// One value: its tag, its contents, its whole encoding, and what follows it.
pub(crate) struct Value<'d> {
    pub(crate) tag: u8,
    pub(crate) contents: &'d [u8],
    pub(crate) whole: &'d [u8],
    pub(crate) rest: &'d [u8],
}

/// The value at the beginning, whatever it is.
pub(crate) fn next(der: &[u8]) -> Option<Value<'_>> {
    let (tag, rest) = der.split_first()?;
    let (first, mut rest) = rest.split_first()?;
    let mut length = usize::from(*first);
    if length >= 0x80 {
        let digits = length & 0x7f;
        if digits == 0 || digits > 3 || rest.len() < digits {
            return None;
        }
        let (bytes, tail) = rest.split_at(digits);
        length = bytes.iter().fold(0, |sum, b| sum << 8 | usize::from(*b));
        rest = tail;
    }
    if rest.len() < length {
        return None;
    }
    let (contents, rest) = rest.split_at(length);
    Some(Value {
        tag: *tag,
        contents,
        whole: &der[..der.len() - rest.len()],
        rest,
    })
}

/// The contents of the value with this tag at the beginning, and what follows it.
pub(crate) fn value(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let value = next(der).filter(|value| value.tag == tag)?;
    Some((value.contents, value.rest))
}
