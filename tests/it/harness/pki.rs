//! A certificate authority, a server's certificate and clients', created for each test.

use std::os::unix::fs::PermissionsExt;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    SanType,
};

/// A certificate and its key, PEM.
#[derive(Clone)]
pub struct Identity {
    pub certificate: String,
    pub key: String,
}

/// An authority, a server and two clients of it, and a self-signed client.
pub struct Pki {
    pub authority: String,
    pub server: Identity,
    /// Common name `prometheus`, alternative names `prometheus.example.com` and `spiffe://example.com/prometheus`.
    pub client: Identity,
    /// Common name `alice`, no alternative names but an e-mail address.
    pub alice: Identity,
    /// Signed by itself, with the names of `client`.
    pub stranger: Identity,
}

impl Pki {
    pub fn new() -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = named("authority", &[]);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).expect("a certificate");
        let issuer = Issuer::new(params, key);
        let names = [
            SanType::DnsName("prometheus.example.com".try_into().expect("a name")),
            SanType::URI(
                "spiffe://example.com/prometheus"
                    .try_into()
                    .expect("a name"),
            ),
        ];
        let local = [
            SanType::DnsName("localhost".try_into().expect("a name")),
            SanType::IpAddress([127, 0, 0, 1].into()),
        ];
        let mail = [SanType::Rfc822Name(
            "alice@example.com".try_into().expect("a name"),
        )];
        Self {
            authority: certificate.pem(),
            server: signed(&named("server", &local), Some(&issuer)),
            client: signed(&client("prometheus", &names), Some(&issuer)),
            alice: signed(&client("alice", &mail), Some(&issuer)),
            stranger: signed(&client("prometheus", &names), None),
        }
    }

    /// All of them in a directory, as `ca.crt`, `server.crt`, `server.key` and so on; and an empty file.
    pub fn written(&self) -> tempfile::TempDir {
        let directory = tempfile::tempdir().expect("a directory");
        let write = |name: &str, text: &str| {
            let path = directory.path().join(name);
            std::fs::write(&path, text).expect("a file");
            let mode = std::fs::Permissions::from_mode(0o600);
            std::fs::set_permissions(path, mode).expect("a file of ours");
        };
        write("empty", "");
        write("ca.crt", &self.authority);
        for (name, identity) in [
            ("server", &self.server),
            ("client", &self.client),
            ("alice", &self.alice),
            ("stranger", &self.stranger),
        ] {
            write(&format!("{name}.crt"), &identity.certificate);
            write(&format!("{name}.key"), &identity.key);
        }
        directory
    }
}

fn named(name: &str, alternative: &[SanType]) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.subject_alt_names = alternative.to_vec();
    params
}

fn client(name: &str, alternative: &[SanType]) -> CertificateParams {
    let mut params = named(name, alternative);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params
}

fn signed(params: &CertificateParams, issuer: Option<&Issuer<'_, KeyPair>>) -> Identity {
    let key = KeyPair::generate().expect("a key");
    let certificate = match issuer {
        Some(issuer) => params.signed_by(&key, issuer),
        None => params.self_signed(&key),
    };
    Identity {
        certificate: certificate.expect("a certificate").pem(),
        key: key.serialize_pem(),
    }
}
