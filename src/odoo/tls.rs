//! TLS to servers: whom to trust, how to prove who asks, and why a handshake failed.

use std::sync::Arc;

use jiff::Timestamp;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore,
    SignatureScheme,
};
use x509_cert::Certificate;
use x509_cert::der::Decode;
use x509_cert::time::Time;

use super::error::{Error, Kind};
use crate::config::Tls;

pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// TLS as settings ask.
///
/// # Errors
/// If the files cannot be used.
pub fn client_config(tls: &Tls) -> Result<ClientConfig, BoxError> {
    let own = match &tls.ca {
        Some(ca) => CertificateDer::pem_slice_iter(&ca.pem).collect::<Result<_, _>>()?,
        None => Vec::new(),
    };
    let mut roots = RootCertStore::empty();
    if !tls.only_ca {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    }
    roots.add_parsable_certificates(own.iter().cloned());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    // Without any authority no chain is trusted; what needs no TLS works all the same.
    let chain = match roots.is_empty() {
        true => None,
        false => Some(
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone())
                .build()?,
        ),
    };
    let verifier = Trust {
        chain,
        own,
        algorithms: provider.signature_verification_algorithms,
    };
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    Ok(match &tls.client {
        None => builder.with_no_client_auth(),
        Some(client) => {
            let chain = CertificateDer::pem_slice_iter(&client.certificate.pem)
                .collect::<Result<_, _>>()?;
            let key = PrivateKeyDer::from_pem_slice(client.expose_key_pem())?;
            builder.with_client_auth_cert(chain, key)?
        }
    })
}

/// The usual verification. A server that presents exactly a certificate of `ca_file` needs neither a chain nor a name: no other server
/// has its key.
#[derive(Debug)]
struct Trust {
    chain: Option<Arc<WebPkiServerVerifier>>,
    own: Vec<CertificateDer<'static>>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for Trust {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if self.own.contains(end_entity) {
            return is_valid_at(end_entity, now).map(|()| ServerCertVerified::assertion());
        }
        let Some(chain) = &self.chain else {
            return Err(CertificateError::UnknownIssuer.into());
        };
        chain.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// Returns true if a certificate is within its dates.
fn is_valid_at(certificate: &CertificateDer<'_>, now: UnixTime) -> Result<(), rustls::Error> {
    let parsed = Certificate::from_der(certificate).map_err(|_| CertificateError::BadEncoding)?;
    let validity = parsed.tbs_certificate().validity();
    let time = |at: Time| UnixTime::since_unix_epoch(at.to_unix_duration());
    let (not_before, not_after) = (time(validity.not_before), time(validity.not_after));
    if now.as_secs() < not_before.as_secs() {
        Err(CertificateError::NotValidYetContext {
            time: now,
            not_before,
        }
        .into())
    } else if now.as_secs() > not_after.as_secs() {
        Err(CertificateError::ExpiredContext {
            time: now,
            not_after,
        }
        .into())
    } else {
        Ok(())
    }
}

/// Explains a failed handshake, with the next step.
pub(super) fn failure(error: &rustls::Error, place: &str) -> Error {
    use rustls::Error::{AlertReceived, InvalidCertificate, InvalidMessage, PeerIncompatible};
    let (message, hint) = match error {
        InvalidCertificate(certificate) => wrong_certificate(certificate, place),
        InvalidMessage(_) => (
            format!("{place} does not use TLS"),
            "start `url` with http://, or use the port with TLS",
        ),
        AlertReceived(
            AlertDescription::ProtocolVersion
            | AlertDescription::HandshakeFailure
            | AlertDescription::InsufficientSecurity,
        )
        | PeerIncompatible(_) => (
            format!("{place} and the exporter have no TLS version and cipher in common: {error}"),
            "enable TLS 1.2 or 1.3 with an AEAD cipher on the server",
        ),
        AlertReceived(
            AlertDescription::CertificateRequired
            | AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied,
        ) => (
            format!("{place} refuses the client certificate, or got none: {error}"),
            "set `tls.cert_file` and `tls.key_file` to a certificate that the server accepts",
        ),
        AlertReceived(AlertDescription::UnrecognisedName) => (
            format!("{place} does not know the requested name"),
            "set `tls.server_name` to a name of the server",
        ),
        _ => (
            format!("TLS with {place}: {error}"),
            "check the server's TLS settings and the target's `tls`",
        ),
    };
    Error::new(Kind::Tls, message).hint(hint)
}

fn wrong_certificate(error: &CertificateError, place: &str) -> (String, &'static str) {
    let date = |time: &UnixTime| {
        let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
        let time = Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX);
        time.strftime("%Y-%m-%d %H:%M UTC").to_string()
    };
    const RENEW: &str = "renew the server's certificate; also check this host's clock";
    match error {
        CertificateError::UnknownIssuer | CertificateError::Other(_) => (
            format!("the certificate of {place} is not trusted"),
            "set `tls.ca_file` to the authority that signed it, or to the certificate itself",
        ),
        CertificateError::NotValidForNameContext {
            expected,
            presented,
        } => {
            let presented: Vec<&str> = presented.iter().map(|name| bare(name)).collect();
            (
                format!(
                    "the certificate of {place} is for {}, not {}",
                    match presented.as_slice() {
                        [] => "no name".to_owned(),
                        names => names.join(", "),
                    },
                    expected.to_str()
                ),
                "use a name of the certificate in `url`, or set `tls.server_name` to it",
            )
        }
        CertificateError::ExpiredContext { not_after, .. } => (
            format!("the certificate of {place} expired on {}", date(not_after)),
            RENEW,
        ),
        CertificateError::NotValidYetContext { not_before, .. } => (
            format!(
                "the certificate of {place} is valid only from {}",
                date(not_before)
            ),
            RENEW,
        ),
        other => (
            format!("the certificate of {place} is not accepted: {other:?}"),
            "use a certificate that browsers accept",
        ),
    }
}

/// A name out of what rustls writes: `DnsName("other.internal")`.
fn bare(name: &str) -> &str {
    name.split('"').nth(1).unwrap_or(name)
}
