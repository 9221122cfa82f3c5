//! TLS from the tree: what is spoken, with which certificate, and to whom.

use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::version::{TLS12, TLS13};

use super::{flag, is_null, present};
use crate::config::reader::{Fields, Item, suggestion};
use crate::config::resolve::{Context, material};
use crate::config::web_file::certificate::{Authorities, ClientVerifier};
use crate::config::web_file::tls::{Named, Spoken, curve, server_config, suite, suite_names};
use crate::config::web_file::{ServerTls, fields};
use crate::config::yaml::Value;

#[expect(
    clippy::too_many_lines,
    reason = "one step for each field of the section"
)]
pub(super) fn tls(tls: &Fields<'_>, http2: bool, context: &Context<'_>) -> Option<ServerTls> {
    let get = |name| present(tls, name);
    let certificate = one_of(get("cert_file"), get("cert"));
    let key = one_of(get("key_file"), get("key"));
    let authorities = one_of(get("client_ca_file"), get("client_ca"));
    let spoken = spoken(tls);
    let clients = client_auth(tls, authorities);
    if [certificate, key, authorities, get("client_auth_type")]
        .iter()
        .all(Option::is_none)
    {
        if !tls.is_empty() {
            context.sink.warning(
                tls.at,
                "there is no certificate: the exporter serves plain HTTP",
                "add `cert_file: PATH` and `key_file: PATH`",
            );
        }
        return None;
    }
    let missing = |file: &str| {
        context.sink.error(
            tls.at,
            format!("`{file}` is missing"),
            format!("add `{file}: PATH`"),
        );
    };
    if certificate.is_none() {
        missing("cert_file");
    }
    if key.is_none() {
        missing("key_file");
    }
    let chain = certificates(&certificate?, context);
    let private = private_key(&key?, context);
    let authorities = authorities.map(|item| (item, certificates(&item, context)));
    let spoken = spoken?;
    let (mandatory, verify) = clients?;
    let provider = Arc::new(spoken.provider());
    let trusted = match (verify, authorities) {
        (true, Some((item, certificates))) => match Authorities::new(certificates?, &provider) {
            Ok(trusted) => Some(trusted),
            Err(error) => {
                return item.fail(
                    &format!("contains a certificate that is not an authority: {error}"),
                    "it must be PEM, version 3",
                );
            }
        },
        _ => None,
    };
    let allowed_names = allowed_names(tls);
    let verifier = mandatory.map(|mandatory| {
        Arc::new(ClientVerifier {
            mandatory,
            authorities: trusted,
            allowed: allowed_names.clone(),
            provider: Arc::clone(&provider),
        }) as _
    });
    match server_config(&spoken, provider, chain?, private?, verifier) {
        Ok(mut config) => {
            config.ignore_client_order = flag(tls, "prefer_server_cipher_suites").unwrap_or(true);
            let h2 = http2.then(|| b"h2".to_vec());
            config.alpn_protocols = h2.into_iter().chain([b"http/1.1".to_vec()]).collect();
            Some(ServerTls {
                config: Arc::new(config),
                requires_clients: mandatory.unwrap_or(false),
                verifies_clients: verify,
                allowed_names,
            })
        }
        Err(error) => certificate?.fail(
            &format!("cannot be served: {error}"),
            "certificate and key must match",
        ),
    }
}

/// Of a file and a text, the file.
fn one_of<'a>(file: Option<Item<'a>>, text: Option<Item<'a>>) -> Option<Item<'a>> {
    if let (Some(file), Some(text)) = (&file, &text) {
        text.warn(
            &format!(
                "is set together with `{}`, which takes precedence",
                file.name
            ),
            "remove one of them",
        );
    }
    file.or(text)
}

/// True if clients must present certificates, `None` if they are not asked for one; and true if they are verified.
fn client_auth(tls: &Fields<'_>, authorities: Option<Item<'_>>) -> Option<(Option<bool>, bool)> {
    let item = present(tls, "client_auth_type");
    let word = match &item {
        Some(item) => item.text()?,
        None => "NoClientCert",
    };
    let (mandatory, verify) = match word {
        "NoClientCert" => (None, false),
        "RequestClientCert" => (Some(false), false),
        "RequireAnyClientCert" | "RequireClientCert" => (Some(true), false),
        "VerifyClientCertIfGiven" => (Some(false), true),
        "RequireAndVerifyClientCert" => (Some(true), true),
        _ => {
            return item?.fail(
                "has an unknown value",
                suggestion(word, &fields::CLIENT_AUTH),
            );
        }
    };
    if verify && authorities.is_none() {
        return item?.fail(
            "verifies certificates without authorities: a certificate of any public authority would be accepted",
            "add `client_ca_file: PATH`",
        );
    }
    if let Some(authorities) = authorities.filter(|_| mandatory.is_none()) {
        return authorities.fail(
            "is set, but clients are not asked for certificates",
            "add `client_auth_type: RequireAndVerifyClientCert`, or remove the line",
        );
    }
    if let Some(item) = item.filter(|_| mandatory.is_some() && !verify) {
        item.warn(
            "verifies nothing: any self-made certificate is accepted, and identifies no client",
            "write `RequireAndVerifyClientCert`",
        );
    }
    if let Some(item) = present(tls, "client_allowed_sans").filter(|_| mandatory != Some(true)) {
        item.warn(
            "does not refuse clients without a certificate",
            "write `client_auth_type: RequireAndVerifyClientCert`",
        );
    }
    Some((mandatory, verify))
}

fn allowed_names(tls: &Fields<'_>) -> Option<Vec<String>> {
    let names = present(tls, "client_allowed_sans")?.list()?;
    Some(
        names
            .iter()
            .filter_map(|item| item.text().map(str::to_owned))
            .collect(),
    )
}

fn spoken(tls: &Fields<'_>) -> Option<Spoken> {
    let lowest = version(tls, "min_version", 12)?;
    let highest = version(tls, "max_version", 13)?;
    if highest < 12 || lowest > highest {
        return present(tls, "max_version")
            .or(present(tls, "min_version"))?
            .fail("leaves no supported version", "1.2 and 1.3 are supported");
    }
    let versions = [(12, &TLS12), (13, &TLS13)]
        .into_iter()
        .filter(|(number, _)| (lowest..=highest).contains(number))
        .map(|(_, version)| version);
    let curves = chosen(tls, "curve_preferences", curve, &fields::CURVES)?;
    if let (Some(item), Some([])) = (present(tls, "curve_preferences"), curves.as_deref()) {
        return item.fail(
            "names no supported curve",
            "X25519, CurveP256 and CurveP384 are supported",
        );
    }
    let suites = chosen(tls, "cipher_suites", suite, &suite_names())?;
    if let (Some(item), Some([])) = (present(tls, "cipher_suites"), suites.as_deref()) {
        let message = "names no supported suite of TLS 1.2";
        if highest == 12 {
            return item.fail(
                message,
                "add `TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256` and `TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256`",
            );
        }
        if lowest == 12 {
            item.warn(&format!("{message}: clients must support TLS 1.3"), "");
        }
    }
    Some(Spoken {
        versions: versions.collect(),
        suites,
        curves,
    })
}

fn version(tls: &Fields<'_>, name: &'static str, default: u8) -> Option<u8> {
    let Some(item) = tls.get(name).filter(|item| !is_null(item)) else {
        return Some(default);
    };
    let number = match item.text()? {
        "TLS13" => 13,
        "TLS12" => 12,
        "TLS11" => 11,
        "TLS10" => 10,
        word => {
            return item.fail("has an unknown value", suggestion(word, &fields::VERSIONS));
        }
    };
    if number < 12 && name == "min_version" {
        item.warn(
            "is below 1.2, the lowest supported version",
            "write `TLS12`",
        );
    }
    Some(number)
}

/// A list of names, without those that are not spoken, which is said. An empty list is all.
#[expect(
    clippy::option_option,
    reason = "`None` is an error, `Some(None)` a field that is not there"
)]
fn chosen<T>(
    tls: &Fields<'_>,
    name: &'static str,
    read: impl Fn(&str) -> Option<Named<T>>,
    known: &[&str],
) -> Option<Option<Vec<T>>> {
    let Some(item) = present(tls, name) else {
        return Some(None);
    };
    let items = item.list()?;
    let mut found = Vec::new();
    let mut good = true;
    for item in &items {
        match item.text().map(|text| (text, read(text))) {
            Some((_, Some(Named::Spoken(it)))) => found.push(it),
            Some((_, Some(Named::Moot))) => {}
            Some((text, Some(Named::Unspoken))) => {
                item.warn(
                    &format!("names {text}, which is not supported"),
                    "remove it",
                );
            }
            Some((text, None)) => {
                item.fail::<()>("has an unknown value", suggestion(text, known));
                good = false;
            }
            None => good = false,
        }
    }
    good.then_some((!items.is_empty()).then_some(found))
}

fn certificates(item: &Item<'_>, context: &Context<'_>) -> Option<Vec<CertificateDer<'static>>> {
    let pem = pem(item, context)?;
    match CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>() {
        Ok(found) if !found.is_empty() => Some(found),
        _ => item.fail(
            "contains no certificate",
            "it must be PEM, with a line `-----BEGIN CERTIFICATE-----`",
        ),
    }
}

fn private_key(item: &Item<'_>, context: &Context<'_>) -> Option<PrivateKeyDer<'static>> {
    PrivateKeyDer::from_pem_slice(&pem(item, context)?)
        .ok()
        .or_else(|| {
            item.fail(
                "contains no private key",
                "it must be PEM, with a line `-----BEGIN PRIVATE KEY-----`, and not encrypted",
            )
        })
}

fn pem(item: &Item<'_>, context: &Context<'_>) -> Option<Vec<u8>> {
    if let Value::Text(text) = &item.node.value
        && !item.name.ends_with("_file")
    {
        return Some(text.clone().into_bytes());
    }
    let (_, file) = material::read(item, context)?;
    if item.name == "key_file" && file.mode & 0o077 != 0 {
        item.warn("may be read by others than its owner", "`chmod 600` it");
    }
    Some(file.bytes)
}
