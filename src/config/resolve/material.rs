//! What a target proves itself with and trusts: its API key and certificates, read from where the configuration says.

use std::io::ErrorKind;
use std::path::PathBuf;

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::CertifiedKey;
use x509_cert::Certificate;
use x509_cert::der::Decode;

use super::Context;
use crate::config::env::{FileContent, readable};
use crate::config::reader::{Fields, Item};
use crate::config::schema;
use crate::config::secret::{Key, KeyError, KeySource, key_from};
use crate::config::target::{ClientCertificate, PemFile, Tls};

pub(super) fn api_key(
    fields: &Fields<'_>,
    context: &Context<'_>,
) -> Option<(KeySource, secrecy::SecretString)> {
    let sources: Vec<Item<'_>> = schema::TARGET
        .alternatives()
        .filter_map(|name| fields.get(name))
        .collect();
    let [item] = sources.as_slice() else {
        match sources.get(1) {
            None => context.sink.error(
                fields.at,
                "there is no API key",
                "add one of `api_key_file: PATH`, `api_key_env: VARIABLE`, `api_key_credential: NAME`",
            ),
            Some(second) => {
                second.fail::<()>(&format!("is a second source of the API key, beside `{}`", sources[0].name), "keep one of them")?;
            }
        }
        return None;
    };
    let text = item.text()?;
    let source = match item.name {
        "api_key_file" => KeySource::File(context.directory.join(text)),
        "api_key_env" => KeySource::Variable(text.to_owned()),
        "api_key_credential" => KeySource::Credential(text.to_owned()),
        _ => {
            context.sink.warning(
                item.at(),
                "the API key stands in the configuration itself",
                "configurations get copied around: put the key into a file of mode 600 and write `api_key_file: PATH`",
            );
            match key_from(text.as_bytes()) {
                Ok(key) => KeySource::Inline(key),
                Err(error) => return item.fail(&error.to_string(), error.hint()),
            }
        }
    };
    match source.read(context.env) {
        Ok(Key { secret, exposed }) => {
            if exposed {
                context.sink.warning(
                    item.at(),
                    format!("`{}`: everybody on this host may read the file", item.name),
                    "whoever reads the key can act as its account: `chmod o= FILE`",
                );
            }
            Some((source, secret))
        }
        Err(KeyError::Unreadable(error)) if matches!(source, KeySource::File(_)) => {
            unreadable(item, &error, context)
        }
        Err(error) => item.fail(&error.to_string(), error.hint()),
    }
}

pub(super) fn tls(item: &Item<'_>, context: &Context<'_>) -> Option<Tls> {
    let fields = item.fields(&schema::TLS)?;
    let ca = fields
        .get("ca_file")
        .and_then(|item| certificates(&item, context));
    let client = match (fields.get("cert_file"), fields.get("key_file")) {
        (Some(certificate), Some(key)) => client_certificate(&certificate, &key, context),
        (Some(certificate), None) => {
            certificate.fail("is there without `key_file`", "add `key_file: PATH`")
        }
        (None, Some(key)) => key.fail("is there without `cert_file`", "add `cert_file: PATH`"),
        (None, None) => None,
    };
    let server_name = fields.get("server_name").and_then(|item| {
        let name = item.text()?;
        match ServerName::try_from(name) {
            Ok(_) => Some(name.to_owned()),
            Err(_) => item.fail(
                "is not a host name",
                "write the name alone, such as `erp.example.com`",
            ),
        }
    });
    let system_roots = fields.get("system_roots");
    let only_ca = system_roots.and_then(|item| item.flag()) == Some(false);
    if let Some(item) = system_roots.filter(|_| only_ca && fields.get("ca_file").is_none()) {
        item.fail::<()>(
            "is `false` without `ca_file`, so that no server would be trusted",
            "add `ca_file: PATH`, or remove the line",
        );
    }
    Some(Tls {
        ca,
        only_ca,
        client,
        server_name,
    })
}

fn client_certificate(
    certificate: &Item<'_>,
    key: &Item<'_>,
    context: &Context<'_>,
) -> Option<ClientCertificate> {
    let certificate = certificates(certificate, context);
    let (path, file) = read(key, context)?;
    if PrivateKeyDer::from_pem_slice(&file.bytes).is_err() {
        return key.fail(
            "holds no private key",
            "it must be PEM, with a line `-----BEGIN PRIVATE KEY-----`, and not encrypted",
        );
    }
    if file.is_world_readable() {
        context.sink.warning(
            key.at(),
            "`key_file`: everybody on this host may read the file",
            "`chmod o= FILE`",
        );
    }
    let certificate = certificate?;
    if let Err(error) = matching(&certificate.pem, &file.bytes) {
        return key.fail(
            &format!("does not belong to `cert_file`: {error}"),
            "give the key that the certificate was made for; the certificate comes first in its file",
        );
    }
    Some(ClientCertificate::new(certificate, path, file.bytes))
}

/// Whether a private key is that of the first certificate of a chain.
fn matching(chain: &[u8], key: &[u8]) -> Result<(), Box<dyn std::error::Error>> {
    let chain = CertificateDer::pem_slice_iter(chain).collect::<Result<_, _>>()?;
    let key = PrivateKeyDer::from_pem_slice(key)?;
    let provider = rustls::crypto::ring::default_provider();
    CertifiedKey::from_der(chain, key, &provider)?;
    Ok(())
}

fn certificates(item: &Item<'_>, context: &Context<'_>) -> Option<PemFile> {
    let (path, file) = read(item, context)?;
    let mut found = 0;
    for certificate in CertificateDer::pem_slice_iter(&file.bytes) {
        found += 1;
        let is_one = certificate.is_ok_and(|it| {
            Certificate::from_der(&it).is_ok() || RootCertStore::empty().add(it).is_ok()
        });
        if !is_one {
            return item.fail(
                &format!(
                    "has a malformed entry: number {found} of {} is no certificate",
                    path.display()
                ),
                "replace or delete that entry, from its line `-----BEGIN CERTIFICATE-----` on",
            );
        }
    }
    if found == 0 {
        return item.fail(
            "holds no certificate",
            "it must be PEM, with a line `-----BEGIN CERTIFICATE-----`",
        );
    }
    Some(PemFile {
        path,
        pem: file.bytes,
    })
}

pub(in crate::config) fn read(
    item: &Item<'_>,
    context: &Context<'_>,
) -> Option<(PathBuf, FileContent)> {
    let path = context.directory.join(item.text()?);
    match context.env.file(&path) {
        Ok(file) => Some((path, file)),
        Err(error) => unreadable(item, &error, context),
    }
}

/// The path itself is not shown: it might be the key on the wrong line.
fn unreadable<T>(item: &Item<'_>, error: &std::io::Error, context: &Context<'_>) -> Option<T> {
    let directory = match context.directory.to_str() {
        Some("") | None => "the working directory".to_owned(),
        Some(directory) => format!("`{directory}`"),
    };
    let hint = match error.kind() {
        ErrorKind::PermissionDenied => readable(context.env, "the file"),
        _ => format!(
            "relative paths start at {directory}; the exporter's user must be able to read the file"
        ),
    };
    item.fail(&format!("cannot be read: {error}"), hint)
}
