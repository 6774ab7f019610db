//! Whom TLS trusts and who we say we are: CAs and client certificates from PEM files.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use super::error::{Error, Result};

/// A bundle or certificate file may not be longer than this.
const MAX_FILE: u64 = 16 << 20;

type Pem = Arc<[u8]>;

/// The files that decide about one server's TLS. Equal ones share their connections.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Material {
    /// Contents of CA files, on top of what is trusted everywhere.
    pub(super) authorities: Vec<Pem>,
    /// Contents of a certificate file and of its key's.
    pub(super) client: Option<(Pem, Pem)>,
    /// Take any certificate.
    pub(super) unverified: bool,
}

/// Reads a file of a bounded length.
pub(super) fn read(path: &Path) -> Result<Pem> {
    let failed =
        |source: io::Error| Error::local(format!("reading {}", path.display())).caused_by(source);
    let length = fs::metadata(path).map_err(failed)?.len();
    if length > MAX_FILE {
        return Err(Error::local(format!(
            "{} is longer than {MAX_FILE} bytes",
            path.display()
        )));
    }
    Ok(fs::read(path).map_err(failed)?.into())
}

/// Docker's `certs.d/<host>/`: every `*.crt` is a CA, every `*.cert` needs its `*.key`. Of several client certificates
/// the first by name counts.
pub(super) fn of_folder(folder: &Path) -> Result<Material> {
    let mut material = Material::default();
    let mut files: Vec<PathBuf> = match fs::read_dir(folder) {
        Ok(entries) => entries.filter_map(|e| Some(e.ok()?.path())).collect(),
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(material),
        Err(e) => {
            return Err(Error::local(format!("reading {}", folder.display())).caused_by(e));
        }
    };
    files.sort();
    for file in &files {
        match file.extension().and_then(|e| e.to_str()) {
            Some("crt") => material.authorities.push(read(file)?),
            Some("cert") => {
                let key = file.with_extension("key");
                if !files.contains(&key) {
                    return Err(Error::local(format!(
                        "missing key {} for client certificate {}. CA certificates must use the extension .crt",
                        key.display(),
                        file.display()
                    )));
                }
                if material.client.is_none() {
                    material.client = Some((read(file)?, read(&key)?));
                }
            }
            Some("key") if !files.contains(&file.with_extension("cert")) => {
                return Err(Error::local(format!(
                    "missing client certificate {} for key {}",
                    file.with_extension("cert").display(),
                    file.display()
                )));
            }
            _ => {}
        }
    }
    Ok(material)
}

/// The CAs that are trusted everywhere: those of the first file that is there.
pub(super) fn trusted(files: &[PathBuf]) -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    if let Some(file) = files.iter().find(|file| file.is_file()) {
        add(&mut roots, &read(file)?);
    }
    Ok(roots)
}

/// Certificates that rustls cannot use (old ones in system bundles) are left out, as every TLS library does.
fn add(roots: &mut RootCertStore, pem: &[u8]) -> usize {
    let certificates = CertificateDer::pem_slice_iter(pem).filter_map(Result::ok);
    roots.add_parsable_certificates(certificates).0
}

/// The TLS settings of one kind of server.
pub(super) fn configuration(
    everywhere: &Arc<RootCertStore>,
    material: &Material,
) -> Result<ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let broken = |e: rustls::Error| Error::local("setting up TLS").caused_by(e);
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(broken)?;
    let builder = if material.unverified {
        builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Unverified(provider)))
    } else {
        builder.with_root_certificates(roots(everywhere, material)?)
    };
    let mut config = match &material.client {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let chain = CertificateDer::pem_slice_iter(certificate)
                .collect::<std::result::Result<Vec<_>, _>>()
                .map_err(|e| Error::local("reading a client certificate").caused_by(e))?;
            let key = PrivateKeyDer::from_pem_slice(key)
                .map_err(|e| Error::local("reading a client certificate's key").caused_by(e))?;
            builder.with_client_auth_cert(chain, key).map_err(broken)?
        }
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn roots(everywhere: &Arc<RootCertStore>, material: &Material) -> Result<Arc<RootCertStore>> {
    if material.authorities.is_empty() {
        return Ok(Arc::clone(everywhere));
    }
    let mut roots = RootCertStore::clone(everywhere);
    for pem in &material.authorities {
        if add(&mut roots, pem) == 0 {
            return Err(Error::local("a CA file holds no certificate"));
        }
    }
    Ok(Arc::new(roots))
}

/// For registries that the administrator called insecure: takes any certificate, but still makes the server prove that
/// it holds the key of the one it shows.
#[derive(Debug)]
struct Unverified(Arc<CryptoProvider>);

impl ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
