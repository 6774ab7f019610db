//! Whom TLS trusts and who we say we are: CAs and client certificates from PEM files.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, SubjectPublicKeyInfoDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};

use super::error::{Error, Result};
use super::verifier::{Trusted, Verifier};
use super::x509::Certificate;

/// A bundle or certificate file may not be longer than this.
const MAX_FILE: u64 = 16 << 20;

/// A file as it was when it was read.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct File {
    path: PathBuf,
    pem: Arc<[u8]>,
}

/// The files that decide about one server's TLS. Equal ones share their connections.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Material {
    /// CA files, on top of what is trusted everywhere.
    pub(super) authorities: Vec<File>,
    /// A certificate file and its key's.
    pub(super) client: Option<(File, File)>,
    /// Take any certificate.
    pub(super) unverified: bool,
}

/// Reads a file of a bounded length.
pub(super) fn read(path: &Path) -> Result<File> {
    let failed =
        |source: io::Error| Error::local(format!("reading {}", path.display())).caused_by(source);
    let length = fs::metadata(path).map_err(failed)?.len();
    if length > MAX_FILE {
        return Err(Error::local(format!(
            "{} is longer than {MAX_FILE} bytes",
            path.display()
        )));
    }
    Ok(File {
        path: path.to_owned(),
        pem: fs::read(path).map_err(failed)?.into(),
    })
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
pub(super) fn trusted(files: &[PathBuf]) -> Result<Trusted> {
    let mut trusted = Trusted::none();
    if let Some(file) = files.iter().find(|file| file.is_file()) {
        add(&mut trusted, &read(file)?);
    }
    Ok(trusted)
}

/// Adds the certificates of a file and says how many there are. Those that rustls cannot use (old ones in system bundles) are
/// left out, as every TLS library does.
fn add(trusted: &mut Trusted, file: &File) -> usize {
    let certificates = CertificateDer::pem_slice_iter(&file.pem).filter_map(Result::ok);
    certificates
        .map(|certificate| trusted.add(certificate))
        .count()
}

/// The TLS settings of one kind of server.
pub(super) fn configuration(everywhere: &Trusted, material: &Material) -> Result<ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = match material.unverified {
        true => Verifier::of_anyone(Arc::clone(&provider)),
        false => Verifier::of(Arc::clone(&provider), all_trusted(everywhere, material)?),
    };
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|e| Error::local("setting up TLS").caused_by(e))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let mut config = match &material.client {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let identity = SingleCertAndKey::from(identity(certificate, key, &provider)?);
            builder.with_client_cert_resolver(Arc::new(identity))
        }
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn all_trusted(everywhere: &Trusted, material: &Material) -> Result<Trusted> {
    let mut trusted = everywhere.clone();
    for file in &material.authorities {
        if add(&mut trusted, file) == 0 {
            return Err(Error::local(format!(
                "the CA file {} holds no certificate",
                file.path.display()
            )));
        }
    }
    Ok(trusted)
}

/// Who we say we are.
fn identity(certificate: &File, key: &File, provider: &CryptoProvider) -> Result<CertifiedKey> {
    let unusable = |file: &File, what: &str| {
        let path = file.path.display();
        Error::local(format!("the client {what} {path} cannot be used"))
    };
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&certificate.pem)
        .collect::<std::result::Result<_, _>>()
        .map_err(|e| unusable(certificate, "certificate").because(e))?;
    let Some(own) = chain.first() else {
        let none = "it holds no certificate in PEM form";
        return Err(unusable(certificate, "certificate").because(none));
    };
    let read = Certificate::parse(own)
        .ok_or_else(|| unusable(certificate, "certificate").because("it is no X.509"))?;
    let wanted = SubjectPublicKeyInfoDer::from(read.key);
    let der = PrivateKeyDer::from_pem_slice(&key.pem).map_err(|_| {
        unusable(key, "key").because("it holds no private key in PEM form without a password")
    })?;
    let signing = provider
        .key_provider
        .load_private_key(der)
        .map_err(|e| unusable(key, "key").because(e))?;
    // rustls would hold them against each other itself, but reads no certificate of version 1. Whether one is good enough is
    // for the server to say.
    if signing.public_key().is_some_and(|own| own != wanted) {
        let other = format!("it is not the key of {}", certificate.path.display());
        return Err(unusable(key, "key").because(other));
    }
    Ok(CertifiedKey::new(chain, signing))
}
