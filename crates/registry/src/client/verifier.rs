//! Whether the server is who it should be.
//!
//! webpki decides, except where Go's x509, after which registries' certificates were made for ten years, is more lenient
//! with good reason: a certificate that lies in the trusted files byte for byte is trusted, also as a server's own and also
//! when it calls itself a CA, as what `openssl req -x509` makes does.

use std::collections::HashSet;
use std::sync::Arc;

use oci::Digest;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_name;
use rustls::crypto::{CryptoProvider, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme,
};

use super::x509::{Certificate, key_parts};

/// What is trusted: certificates that may sign others, and the same as they are.
#[derive(Clone, Debug)]
pub(super) struct Trusted {
    roots: Arc<RootCertStore>,
    exact: Arc<HashSet<Digest>>,
}

impl Trusted {
    pub(super) fn none() -> Self {
        Trusted {
            roots: Arc::new(RootCertStore::empty()),
            exact: Arc::default(),
        }
    }

    /// Adds a certificate. One that can sign nothing may still be a server's own.
    pub(super) fn add(&mut self, certificate: CertificateDer<'_>) {
        Arc::make_mut(&mut self.exact).insert(Digest::sha256(&certificate));
        Arc::make_mut(&mut self.roots).add_parsable_certificates([certificate]);
    }
}

/// The verifier that rustls asks.
#[derive(Debug)]
pub(super) struct Verifier {
    provider: Arc<CryptoProvider>,
    trust: Trust,
}

#[derive(Debug)]
enum Trust {
    /// For registries that the administrator called insecure: takes any certificate. The server still has to prove that it
    /// holds the key of the one it shows.
    Anyone,
    Only {
        exact: Arc<HashSet<Digest>>,
        /// `None` where nothing is trusted that could sign.
        chains: Option<Arc<WebPkiServerVerifier>>,
    },
}

impl Verifier {
    pub(super) fn of_anyone(provider: Arc<CryptoProvider>) -> Self {
        Verifier {
            provider,
            trust: Trust::Anyone,
        }
    }

    pub(super) fn of(provider: Arc<CryptoProvider>, trusted: Trusted) -> Self {
        let chains =
            WebPkiServerVerifier::builder_with_provider(trusted.roots, Arc::clone(&provider))
                .build();
        Verifier {
            provider,
            trust: Trust::Only {
                exact: trusted.exact,
                chains: chains.ok(),
            },
        }
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        own: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let (exact, chains) = match &self.trust {
            Trust::Anyone => return Ok(ServerCertVerified::assertion()),
            Trust::Only { exact, chains } => (exact, chains),
        };
        if exact.contains(&Digest::sha256(own)) {
            in_force(own, now)?;
            is_named(own, name)?;
            return Ok(ServerCertVerified::assertion());
        }
        let verified = match chains {
            Some(chains) => chains.verify_server_cert(own, intermediates, name, ocsp, now),
            None => Err(CertificateError::UnknownIssuer.into()),
        };
        // Of several faults Go tells time first and the name second, since no trust mends them.
        verified.map_err(|error| {
            let first = in_force(own, now).and_then(|()| is_named(own, name));
            first.err().unwrap_or_else(|| plainly(error, own))
        })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        let Some(key) = self.key_of_old(certificate) else {
            return rustls::crypto::verify_tls12_signature(
                message,
                certificate,
                signed,
                algorithms,
            );
        };
        let (algorithm, bits) = key_parts(key).ok_or(CertificateError::BadEncoding)?;
        let of_scheme = algorithms
            .mapping
            .iter()
            .filter(|(scheme, _)| *scheme == signed.scheme)
            .flat_map(|(_, several)| several.iter());
        let fits = |a: &&&dyn rustls::pki_types::SignatureVerificationAlgorithm| {
            a.public_key_alg_id().as_ref() == algorithm
        };
        let verified = of_scheme.filter(fits).any(|a| {
            a.verify_signature(bits, message, signed.signature())
                .is_ok()
        });
        match verified {
            true => Ok(HandshakeSignatureValid::assertion()),
            false => Err(CertificateError::BadSignature.into()),
        }
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        match self.key_of_old(certificate) {
            Some(key) => {
                let key = SubjectPublicKeyInfoDer::from(key);
                verify_tls13_signature_with_raw_key(message, &key, signed, algorithms)
            }
            None => {
                rustls::crypto::verify_tls13_signature(message, certificate, signed, algorithms)
            }
        }
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

impl Verifier {
    /// The key in a certificate of version 1, which webpki does not read: it names no hosts, so only an insecure registry can
    /// have one.
    fn key_of_old<'d>(&self, certificate: &'d [u8]) -> Option<&'d [u8]> {
        let read = Certificate::parse(certificate).filter(|read| read.version == 1)?;
        matches!(self.trust, Trust::Anyone).then_some(read.key)
    }
}

/// webpki says of each CA's certificate that it is one, before it looks who has signed it. Of one that has signed itself, and is not among the
/// trusted ones, there is nothing more to say than that nobody known has signed it.
fn plainly(error: Error, own: &[u8]) -> Error {
    let is_ca = matches!(&error, Error::InvalidCertificate(CertificateError::Other(other)) if other.to_string() == CA_AS_SERVER);
    match is_ca && Certificate::parse(own).is_some_and(|read| read.is_self_issued()) {
        true => CertificateError::UnknownIssuer.into(),
        false => error,
    }
}

/// What webpki calls it.
pub(super) const CA_AS_SERVER: &str = "CaUsedAsEndEntity";

/// Whether it is this certificate's time, and a server may show it.
fn in_force(certificate: &[u8], now: UnixTime) -> Result<(), Error> {
    let read = Certificate::parse(certificate).ok_or(CertificateError::BadEncoding)?;
    if now > read.not_after {
        return Err(CertificateError::ExpiredContext {
            time: now,
            not_after: read.not_after,
        }
        .into());
    }
    if now < read.not_before {
        return Err(CertificateError::NotValidYetContext {
            time: now,
            not_before: read.not_before,
        }
        .into());
    }
    if !read.is_for_servers() {
        return Err(CertificateError::InvalidPurpose.into());
    }
    Ok(())
}

/// Whether the certificate is for this name.
fn is_named(certificate: &CertificateDer<'_>, name: &ServerName<'_>) -> Result<(), Error> {
    let read = Certificate::parse(certificate).ok_or(CertificateError::BadEncoding)?;
    if !read.has_names() && read.common_name() == Some(&*name.to_str()) {
        return Err(CertificateError::Other(OtherError(Arc::new(OnlyCommonName))).into());
    }
    if read.version == 1 {
        return Err(CertificateError::NotValidForNameContext {
            expected: name.to_owned(),
            presented: Vec::new(),
        }
        .into());
    }
    verify_server_name(&ParsedCertificate::try_from(certificate)?, name)
}

/// The name is in the one place where nobody has looked for it since 2021.
#[derive(Debug, thiserror::Error)]
#[error("certificate relies on legacy Common Name field, use SANs instead")]
pub(super) struct OnlyCommonName;
