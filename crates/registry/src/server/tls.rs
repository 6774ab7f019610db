//! TLS: our certificate, and which clients' certificates are taken.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject as _};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{self, RootCertStore, ServerConfig};

/// Files with what TLS needs, all PEM.
#[derive(Clone, Debug)]
pub struct Tls {
    /// The certificate and those between it and its root.
    pub certificate: PathBuf,
    pub key: PathBuf,
    /// Only clients with a certificate of one of these are let in.
    pub client_ca: Option<PathBuf>,
}

/// Why there can be no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("reading {what} from {}", path.display())]
    Read {
        what: &'static str,
        path: PathBuf,
        #[source]
        source: pem::Error,
    },
    #[error("{} holds no certificate", .0.display())]
    NoCertificate(PathBuf),
    #[error("the certificate in {} and the key in {} cannot be used", certificate.display(), key.display())]
    Config {
        certificate: PathBuf,
        key: PathBuf,
        #[source]
        source: rustls::Error,
    },
    #[error("the client CA in {} cannot be used: {why}", path.display())]
    ClientCa { path: PathBuf, why: String },
}

/// What the next connection is greeted with; it changes when the files do and somebody says so.
#[derive(Clone)]
pub(crate) struct Greeting(Arc<RwLock<TlsAcceptor>>);

impl Greeting {
    pub(crate) fn new(tls: &Tls) -> Result<Greeting, TlsError> {
        Ok(Greeting(Arc::new(RwLock::new(tls.acceptor()?))))
    }

    pub(crate) fn now(&self) -> TlsAcceptor {
        let now = self.0.read().unwrap_or_else(PoisonError::into_inner);
        now.clone()
    }

    /// Reads the files again; with an error all stays as it is.
    pub(crate) fn renew(&self, tls: &Tls) -> Result<(), TlsError> {
        let new = tls.acceptor()?;
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = new;
        Ok(())
    }
}

impl Tls {
    fn acceptor(&self) -> Result<TlsAcceptor, TlsError> {
        let chain = certificates(&self.certificate)?;
        let key = PrivateKeyDer::from_pem_file(&self.key).map_err(|source| TlsError::Read {
            what: "the private key",
            path: self.key.clone(),
            source,
        })?;
        let failed = |source| TlsError::Config {
            certificate: self.certificate.clone(),
            key: self.key.clone(),
            source,
        };
        let builder = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(failed)?;
        let builder = match &self.client_ca {
            None => builder.with_no_client_auth(),
            Some(path) => builder.with_client_cert_verifier(verifier(path)?),
        };
        let mut config = builder.with_single_cert(chain, key).map_err(failed)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}

fn verifier(path: &Path) -> Result<Arc<dyn rustls::server::danger::ClientCertVerifier>, TlsError> {
    let bad = |why: String| TlsError::ClientCa {
        path: path.to_owned(),
        why,
    };
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(|e| bad(e.to_string()))?;
    }
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::new(default_provider()))
        .build()
        .map_err(|e| bad(e.to_string()))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let failed = |source| TlsError::Read {
        what: "certificates",
        path: path.to_owned(),
        source,
    };
    let all: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path)
        .map_err(failed)?
        .collect();
    let all = all.map_err(failed)?;
    if all.is_empty() {
        return Err(TlsError::NoCertificate(path.to_owned()));
    }
    Ok(all)
}
