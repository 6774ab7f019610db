//! What we read in certificates ourselves (RFC 5280, 4.1), because webpki reads none of version 1 and takes no end entity that
//! calls itself a CA. Nothing here verifies a signature.

use std::time::Duration;

use rustls::pki_types::UnixTime;

use crate::der::{BIT_STRING, INTEGER, OBJECT_ID, SEQUENCE, next, value};

const BOOLEAN: u8 = 0x01;
const OCTET_STRING: u8 = 0x04;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SET: u8 = 0x31;
const VERSION: u8 = 0xa0;
const EXTENSIONS: u8 = 0xa3;

const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 0x11];
const EXTENDED_KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x25];
const ANY_USAGE: &[u8] = &[0x55, 0x1d, 0x25, 0x00];
const SERVER_AUTH: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x01];

/// The parts of a certificate that matter here.
#[derive(Debug)]
pub(super) struct Certificate<'d> {
    /// 1 to 3.
    pub(super) version: u8,
    pub(super) not_before: UnixTime,
    pub(super) not_after: UnixTime,
    issuer: &'d [u8],
    subject: &'d [u8],
    /// The whole `SubjectPublicKeyInfo`.
    pub(super) key: &'d [u8],
    /// Contents of the sequence of extensions.
    extensions: &'d [u8],
}

impl<'d> Certificate<'d> {
    pub(super) fn parse(der: &'d [u8]) -> Option<Self> {
        let (signed, _) = value(der, SEQUENCE)?;
        let (body, _) = value(signed, SEQUENCE)?;
        let (version, rest) = match value(body, VERSION) {
            Some((version, rest)) => (value(version, INTEGER)?.0.last()?.checked_add(1)?, rest),
            None => (1, body),
        };
        let (_serial, rest) = value(rest, INTEGER)?;
        let (_algorithm, rest) = value(rest, SEQUENCE)?;
        let (issuer, rest) = value(rest, SEQUENCE)?;
        let (validity, rest) = value(rest, SEQUENCE)?;
        let (subject, rest) = value(rest, SEQUENCE)?;
        let key = next(rest).filter(|key| key.tag == SEQUENCE)?;
        let begins = next(validity)?;
        let ends = next(begins.rest)?;
        Some(Certificate {
            version,
            not_before: time(begins.tag, begins.contents)?,
            not_after: time(ends.tag, ends.contents)?,
            issuer,
            subject,
            key: key.whole,
            extensions: extensions(key.rest)?,
        })
    }

    /// Whether a server may show it: extended key usages, where there are any, name that or everything.
    pub(super) fn is_for_servers(&self) -> bool {
        let Some(usages) = self.extension(EXTENDED_KEY_USAGE) else {
            return true;
        };
        let usages = value(usages, SEQUENCE).map_or(&[][..], |(usages, _)| usages);
        values(usages).any(|usage| matches!(usage, SERVER_AUTH | ANY_USAGE))
    }

    /// Whether it says that it has signed itself.
    pub(super) fn is_self_issued(&self) -> bool {
        self.issuer == self.subject
    }

    /// Whether it says, in an extension, for which names it is; older ones only have a common name.
    pub(super) fn has_names(&self) -> bool {
        self.extension(SUBJECT_ALT_NAME).is_some()
    }

    /// The subject's common name.
    pub(super) fn common_name(&self) -> Option<&'d str> {
        let attributes = values(self.subject).flat_map(values);
        let name = attributes.into_iter().find_map(|attribute| {
            let (kind, text) = value(attribute, OBJECT_ID)?;
            (kind == COMMON_NAME).then(|| next(text))?
        })?;
        std::str::from_utf8(name.contents).ok()
    }

    fn extension(&self, wanted: &[u8]) -> Option<&'d [u8]> {
        values(self.extensions).find_map(|extension| {
            let (id, rest) = value(extension, OBJECT_ID)?;
            let rest = value(rest, BOOLEAN).map_or(rest, |(_critical, rest)| rest);
            (id == wanted).then(|| value(rest, OCTET_STRING).map(|(contents, _)| contents))?
        })
    }
}

/// The key's algorithm (contents of its identifier) and its bits, of a `SubjectPublicKeyInfo`.
pub(super) fn key_parts(info: &[u8]) -> Option<(&[u8], &[u8])> {
    let (info, _) = value(info, SEQUENCE)?;
    let (algorithm, rest) = value(info, SEQUENCE)?;
    let (bits, _) = value(rest, BIT_STRING)?;
    let (unused, key) = bits.split_first()?;
    (*unused == 0).then_some((algorithm, key))
}

/// Behind the key: two identifiers that nobody uses, then the extensions.
fn extensions(mut rest: &[u8]) -> Option<&[u8]> {
    while !rest.is_empty() {
        let part = next(rest)?;
        if part.tag == EXTENSIONS {
            return value(part.contents, SEQUENCE).map(|(list, _)| list);
        }
        rest = part.rest;
    }
    Some(&[])
}

/// The contents of all values in a row, up to the first that is none.
fn values(mut der: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let value = next(der)?;
        der = value.rest;
        matches!(value.tag, SEQUENCE | SET | OBJECT_ID).then_some(value.contents)
    })
}

/// `YYMMDDHHMMSSZ`, until 2049, or `YYYYMMDDHHMMSSZ` (RFC 5280, 4.1.2.5).
fn time(tag: u8, contents: &[u8]) -> Option<UnixTime> {
    let text = std::str::from_utf8(contents).ok()?;
    let digits = text
        .strip_suffix('Z')
        .filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()))?;
    let (year, rest) = match (tag, digits.len()) {
        (UTC_TIME, 12) => {
            let year: i16 = digits[..2].parse().ok()?;
            (
                if year < 50 { 2000 + year } else { 1900 + year },
                &digits[2..],
            )
        }
        (GENERALIZED_TIME, 14) => (digits[..4].parse().ok()?, &digits[4..]),
        _ => return None,
    };
    let part = |at: usize| rest[at..at + 2].parse::<i8>().ok();
    let date = jiff::civil::Date::new(year, part(0)?, part(2)?).ok()?;
    let time = jiff::civil::Time::new(part(4)?, part(6)?, part(8)?, 0).ok()?;
    let stamp = jiff::tz::Offset::UTC
        .to_timestamp(date.to_datetime(time))
        .ok()?;
    // What was before 1970 is as old as 1970.
    let seconds = u64::try_from(stamp.as_second()).unwrap_or(0);
    Some(UnixTime::since_unix_epoch(Duration::from_secs(seconds)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn made(change: impl FnOnce(&mut rcgen::CertificateParams)) -> Vec<u8> {
        let mut params = rcgen::CertificateParams::new(vec!["a.example".to_owned()]).unwrap();
        change(&mut params);
        let key = rcgen::KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().to_vec()
    }

    #[test]
    fn a_certificate_is_read() {
        let der = made(|params| {
            params.not_before = rcgen::date_time_ymd(2020, 1, 2);
            params.not_after = rcgen::date_time_ymd(2051, 3, 4);
            params
                .distinguished_name
                .push(rcgen::DnType::CommonName, "joe");
        });
        let read = Certificate::parse(&der).unwrap();
        assert_eq!(read.version, 3);
        assert_eq!(read.not_before.as_secs(), 1_577_923_200);
        assert_eq!(read.not_after.as_secs(), 2_561_500_800);
        assert_eq!(read.common_name(), Some("joe"));
        assert!(read.has_names());
        assert!(read.is_self_issued());
        assert!(read.is_for_servers());
        assert!(key_parts(read.key).is_some());
    }

    #[test]
    fn usages_count_where_there_are_any() {
        use rcgen::ExtendedKeyUsagePurpose::{Any, ClientAuth, ServerAuth};
        let check = |usages: &[rcgen::ExtendedKeyUsagePurpose], expect: bool| {
            let der = made(|params| params.extended_key_usages = usages.to_vec());
            let read = Certificate::parse(&der).unwrap();
            assert_eq!(read.is_for_servers(), expect, "{usages:?}");
        };
        check(&[ServerAuth], true);
        check(&[ClientAuth, ServerAuth], true);
        check(&[Any], true);
        check(&[ClientAuth], false);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let _ = Certificate::parse(&bytes).map(|c| (c.is_for_servers(), c.common_name().is_some()));
        }

        #[test]
        fn damaged_certificates_are_read_or_refused(at: usize, byte: u8, cut: usize) {
            let mut der = made(|_| {});
            let length = der.len();
            der[at % length] = byte;
            der.truncate(cut % (length + 1));
            let _ = Certificate::parse(&der).map(|c| (c.is_for_servers(), c.has_names()));
        }
    }
}
