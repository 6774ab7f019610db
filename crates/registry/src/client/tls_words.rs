//! What went wrong in TLS, in the words of Go's crypto/tls and crypto/x509: Docker's users know them, and scripts look for them.

use jiff::Timestamp;
use rustls::pki_types::{ServerName, UnixTime};
use rustls::{AlertDescription, CertificateError, Error};

use super::verifier::CA_AS_SERVER;

/// Names of a certificate that are told, at most.
const MOST_NAMES: usize = 100;

pub(super) fn tls(error: &Error) -> String {
    match error {
        Error::InvalidCertificate(problem) => {
            let problem = certificate(problem);
            format!("tls: failed to verify certificate: x509: {problem}")
        }
        Error::AlertReceived(alert) => format!("remote error: tls: {}", alert_text(*alert)),
        other => format!("tls: {other}"),
    }
}

fn certificate(problem: &CertificateError) -> String {
    const TIME: &str = "certificate has expired or is not yet valid";
    match problem {
        CertificateError::UnknownIssuer => "certificate signed by unknown authority".to_owned(),
        CertificateError::Expired | CertificateError::NotValidYet => TIME.to_owned(),
        CertificateError::ExpiredContext { time, not_after } => {
            let (now, end) = (rfc_3339(*time), rfc_3339(*not_after));
            format!("{TIME}: current time {now} is after {end}")
        }
        CertificateError::NotValidYetContext { time, not_before } => {
            let (now, begin) = (rfc_3339(*time), rfc_3339(*not_before));
            format!("{TIME}: current time {now} is before {begin}")
        }
        CertificateError::NotValidForNameContext {
            expected,
            presented,
        } => names(expected, presented),
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "certificate specifies an incompatible key usage".to_owned()
        }
        CertificateError::Other(other) if other.to_string() == CA_AS_SERVER => {
            "certificate is not valid as a server's own: it is a CA's, and not itself among the trusted ones"
                .to_owned()
        }
        CertificateError::Other(other) => other.to_string(),
        other => other.to_string(),
    }
}

/// `presented` are webpki's names, as `DnsName("a")` and `IpAddress(10.0.0.1)`.
fn names(expected: &ServerName<'_>, presented: &[String]) -> String {
    let host = expected.to_str();
    let is_address = matches!(expected, ServerName::IpAddress(_));
    let (before, after) = match is_address {
        true => ("IpAddress(", ")"),
        false => ("DnsName(\"", "\")"),
    };
    let fitting = presented
        .iter()
        .filter_map(|name| name.strip_prefix(before)?.strip_suffix(after));
    let valid: Vec<&str> = fitting.take(MOST_NAMES).collect();
    match (valid.is_empty(), is_address) {
        (true, true) => {
            format!("cannot validate certificate for {host} because it doesn't contain any IP SANs")
        }
        (true, false) => {
            format!("certificate is not valid for any names, but wanted to match {host}")
        }
        _ => {
            let valid = valid.join(", ");
            format!("certificate is valid for {valid}, not {host}")
        }
    }
}

fn rfc_3339(time: UnixTime) -> String {
    let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    Timestamp::from_second(seconds).map_or_else(|_| seconds.to_string(), |t| t.to_string())
}

/// crypto/tls, alert.go.
fn alert_text(alert: AlertDescription) -> String {
    let known = match alert {
        AlertDescription::CloseNotify => "close notify",
        AlertDescription::UnexpectedMessage => "unexpected message",
        AlertDescription::BadRecordMac => "bad record MAC",
        AlertDescription::HandshakeFailure => "handshake failure",
        AlertDescription::BadCertificate => "bad certificate",
        AlertDescription::UnsupportedCertificate => "unsupported certificate",
        AlertDescription::CertificateRevoked => "revoked certificate",
        AlertDescription::CertificateExpired => "expired certificate",
        AlertDescription::CertificateUnknown => "unknown certificate",
        AlertDescription::IllegalParameter => "illegal parameter",
        AlertDescription::UnknownCA => "unknown certificate authority",
        AlertDescription::AccessDenied => "access denied",
        AlertDescription::DecodeError => "error decoding message",
        AlertDescription::DecryptError => "error decrypting message",
        AlertDescription::ProtocolVersion => "protocol version not supported",
        AlertDescription::InsufficientSecurity => "insufficient security level",
        AlertDescription::InternalError => "internal error",
        AlertDescription::UnrecognisedName => "unrecognized name",
        AlertDescription::CertificateRequired => "certificate required",
        AlertDescription::NoApplicationProtocol => "no application protocol",
        other => return format!("alert({})", u8::from(other)),
    };
    known.to_owned()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn check(error: impl Into<Error>, expect: &str) {
        assert_eq!(tls(&error.into()), expect);
    }

    fn misnamed(host: &'static str, presented: &[&str]) -> Error {
        CertificateError::NotValidForNameContext {
            expected: ServerName::try_from(host).unwrap(),
            presented: presented.iter().map(|p| (*p).to_owned()).collect(),
        }
        .into()
    }

    #[test]
    fn certificates_in_the_words_of_go() {
        let x509 = |text: &str| format!("tls: failed to verify certificate: x509: {text}");
        check(
            CertificateError::UnknownIssuer,
            &x509("certificate signed by unknown authority"),
        );
        let at = |seconds| UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        check(
            CertificateError::ExpiredContext {
                time: at(1_700_000_000),
                not_after: at(1_600_000_000),
            },
            &x509(
                "certificate has expired or is not yet valid: current time 2023-11-14T22:13:20Z is after 2020-09-13T12:26:40Z",
            ),
        );
        check(
            misnamed(
                "c.example",
                &["DnsName(\"a.example\")", "DnsName(\"b.example\")"],
            ),
            &x509("certificate is valid for a.example, b.example, not c.example"),
        );
        check(
            misnamed("10.0.0.2", &["DnsName(\"a.example\")"]),
            &x509(
                "cannot validate certificate for 10.0.0.2 because it doesn't contain any IP SANs",
            ),
        );
        check(
            misnamed("10.0.0.2", &["IpAddress(10.0.0.1)"]),
            &x509("certificate is valid for 10.0.0.1, not 10.0.0.2"),
        );
        check(
            misnamed("a.example", &[]),
            &x509("certificate is not valid for any names, but wanted to match a.example"),
        );
    }

    #[test]
    fn alerts_in_the_words_of_go() {
        check(
            Error::AlertReceived(AlertDescription::CertificateRequired),
            "remote error: tls: certificate required",
        );
    }
}
