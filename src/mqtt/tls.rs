//! The client's side of TLS: whom we trust, and who we say we are. The one provider is ring.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use crate::config;

/// The configuration for a broker: its private CA, or else the system's certificates.
pub(super) fn client_config(mqtt: &config::Mqtt) -> anyhow::Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    match &mqtt.ca_file {
        Some(path) => {
            for certificate in certificates(path)? {
                roots.add(certificate).with_context(|| format!("{} holds no usable CA", path.display()))?;
            }
        }
        None => {
            let found = rustls_native_certs::load_native_certs();
            let (added, _unusable) = roots.add_parsable_certificates(found.certs);
            anyhow::ensure!(
                added > 0,
                "the system has no certificates of authorities (install ca-certificates, or set mqtt.ca_file)"
            );
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .context("TLS cannot be set up")?
        .with_root_certificates(roots);
    let config = match &mqtt.client_certificate {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let private = PrivateKeyDer::from_pem_file(key)
                .with_context(|| format!("{} is not a private key in PEM", key.display()))?;
            builder.with_client_auth_cert(certificates(certificate)?, private).with_context(|| {
                format!("{} and {} do not belong together", certificate.display(), key.display())
            })?
        }
    };
    Ok(Arc::new(config))
}

fn certificates(path: &Path) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let wrong = || format!("{} is not a certificate in PEM", path.display());
    let found: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).with_context(wrong)?.collect();
    let found = found.with_context(wrong)?;
    anyhow::ensure!(!found.is_empty(), wrong());
    Ok(found)
}
