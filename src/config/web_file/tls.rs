//! The TLS that is spoken: versions, suites, curves.

use std::sync::Arc;

use rustls::crypto::ring::{cipher_suite as suites, kx_group as groups};
use rustls::crypto::{CryptoProvider, SupportedKxGroup};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::danger::ClientCertVerifier;
use rustls::{ServerConfig, SupportedCipherSuite, SupportedProtocolVersion};

/// The suites that the format names and that are spoken up to TLS 1.2.
const SPOKEN: [(&str, SupportedCipherSuite); 6] = [
    (
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        suites::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    ),
    (
        "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
        suites::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    ),
    (
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
        suites::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    ),
    (
        "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        suites::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    ),
    (
        "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
        suites::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    ),
    (
        "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
        suites::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    ),
];

/// The format allows to name them, and they make no difference: all three are always spoken where TLS 1.3 is.
const OF_TLS13: [&str; 3] = [
    "TLS_AES_128_GCM_SHA256",
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
];

/// The suites that the format names and that are not spoken: without forward secrecy, or in CBC mode.
const UNSPOKEN: [&str; 8] = [
    "TLS_RSA_WITH_AES_128_CBC_SHA",
    "TLS_RSA_WITH_AES_256_CBC_SHA",
    "TLS_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA",
];

/// The meaning of a word of the format.
pub(super) enum Named<T> {
    /// This.
    Spoken(T),
    /// Something that makes no difference.
    Moot,
    /// Something that is not spoken.
    Unspoken,
}

pub(super) fn suite(name: &str) -> Option<Named<SupportedCipherSuite>> {
    if let Some((_, suite)) = SPOKEN.iter().find(|(spoken, _)| *spoken == name) {
        return Some(Named::Spoken(*suite));
    }
    if OF_TLS13.contains(&name) {
        return Some(Named::Moot);
    }
    UNSPOKEN.contains(&name).then_some(Named::Unspoken)
}

/// Every suite that the format names.
pub(super) fn suite_names() -> Vec<&'static str> {
    let spoken = SPOKEN.iter().map(|(name, _)| *name);
    spoken.chain(OF_TLS13).chain(UNSPOKEN).collect()
}

pub(super) fn curve(name: &str) -> Option<Named<&'static dyn SupportedKxGroup>> {
    match name {
        "X25519" => Some(Named::Spoken(groups::X25519)),
        "CurveP256" => Some(Named::Spoken(groups::SECP256R1)),
        "CurveP384" => Some(Named::Spoken(groups::SECP384R1)),
        "CurveP521" => Some(Named::Unspoken),
        _ => None,
    }
}

/// The supported values. `None`: all.
pub(super) struct Spoken {
    pub(super) versions: Vec<&'static SupportedProtocolVersion>,
    pub(super) suites: Option<Vec<SupportedCipherSuite>>,
    pub(super) curves: Option<Vec<&'static dyn SupportedKxGroup>>,
}

impl Spoken {
    pub(super) fn provider(&self) -> CryptoProvider {
        let mut provider = rustls::crypto::ring::default_provider();
        if let Some(suites) = &self.suites {
            provider
                .cipher_suites
                .retain(|suite| suite.tls13().is_some());
            provider.cipher_suites.extend(suites);
        }
        if let Some(curves) = &self.curves {
            provider.kx_groups.clone_from(curves);
        }
        provider
    }
}

/// # Errors
/// If the key does not match the certificate, for example.
pub(super) fn server_config(
    spoken: &Spoken,
    provider: Arc<CryptoProvider>,
    certificates: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    clients: Option<Arc<dyn ClientCertVerifier>>,
) -> Result<ServerConfig, rustls::Error> {
    let builder =
        ServerConfig::builder_with_provider(provider).with_protocol_versions(&spoken.versions)?;
    match clients {
        Some(clients) => builder.with_client_cert_verifier(clients),
        None => builder.with_no_client_auth(),
    }
    .with_single_cert(certificates, key)
}
