//! `--web.config.file` is read as `promtool check web-config` reads it. Where the verdicts differ, the table says why.

use std::fmt::Write;
use std::path::Path;
use std::process::Command;

use odoo_mfa_exporter::config::ProcessEnv;
use odoo_mfa_exporter::config::web_file::WebFile;

use crate::harness::pki::Pki;

const HOW_TO_INSTALL: &str = "promtool is needed: apt-get install prometheus";

const GOOD: bool = true;
const BAD: bool = false;

/// A bcrypt hash.
const HASH: &str = "$2y$04$zVzfhrFBqEFhBXxNsOnEJuKZh4P6VkrCVK2DGDHPUvS3gEGFmdj5q";

/// A certificate and a key, for what follows.
const TLS: &str = "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n";

/// Each file, in parts, and what both say about it.
const ALIKE: &[(&[&str], bool)] = &[
    (&[""], GOOD),
    (&["# nothing\n"], GOOD),
    (&["{}"], GOOD),
    (&["just text"], BAD),
    (&["[a, b]"], BAD),
    (&["tls_server_config: [a]"], BAD),
    (&["a: {b"], BAD),
    (&["unknown: 1"], BAD),
    (&["tls_server_config: {unknown: 1}"], BAD),
    (&["http_server_config: {unknown: 1}"], BAD),
    // Absent is absent, however it is written.
    (
        &["tls_server_config:\nhttp_server_config:\nbasic_auth_users:\n"],
        GOOD,
    ),
    (&["tls_server_config: {}"], GOOD),
    (&["tls_server_config: {cert_file: '', key_file: ''}"], GOOD),
    (
        &["tls_server_config: {cert_file: , key_file: , client_auth_type: }"],
        GOOD,
    ),
    (&["tls_server_config: {min_version: TLS12}"], GOOD),
    // Certificates and keys.
    (&[TLS], GOOD),
    (&["tls_server_config: {cert_file: server.crt}"], BAD),
    (&["tls_server_config: {key_file: server.key}"], BAD),
    (
        &["tls_server_config: {cert_file: server.crt, key_file: ''}"],
        BAD,
    ),
    (
        &["tls_server_config: {cert_file: missing.crt, key_file: server.key}"],
        BAD,
    ),
    (
        &["tls_server_config: {cert_file: server.crt, key_file: missing.key}"],
        BAD,
    ),
    (
        &["tls_server_config: {cert_file: server.key, key_file: server.key}"],
        BAD,
    ),
    (
        &["tls_server_config: {cert_file: server.crt, key_file: server.crt}"],
        BAD,
    ),
    (
        &["tls_server_config: {cert_file: server.crt, key_file: client.key}"],
        BAD,
    ),
    (
        &["tls_server_config: {cert_file: server.crt, key_file: empty}"],
        BAD,
    ),
    (&["tls_server_config: {cert_file: 1, key_file: 2}"], BAD),
    (
        &["tls_server_config: {cert_file: [server.crt], key_file: server.key}"],
        BAD,
    ),
    (
        &["tls_server_config: {client_auth_type: NoClientCert}"],
        BAD,
    ),
    (&[TLS, "  cert_file: server.crt\n"], BAD),
    // Clients' certificates.
    (&[TLS, "  client_auth_type: NoClientCert\n"], GOOD),
    (&[TLS, "  client_auth_type: ''\n"], GOOD),
    (&[TLS, "  client_auth_type: RequestClientCert\n"], GOOD),
    (&[TLS, "  client_auth_type: RequireClientCert\n"], GOOD),
    (&[TLS, "  client_auth_type: RequireAnyClientCert\n"], GOOD),
    (
        &[
            TLS,
            "  client_auth_type: VerifyClientCertIfGiven\n  client_ca_file: ca.crt\n",
        ],
        GOOD,
    ),
    (
        &[
            TLS,
            "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.crt\n",
        ],
        GOOD,
    ),
    (
        &[
            TLS,
            "  client_auth_type: RequireAnyClientCert\n  client_ca_file: ca.crt\n",
        ],
        GOOD,
    ),
    (
        &[
            TLS,
            "  client_auth_type: requireandverifyclientcert\n  client_ca_file: ca.crt\n",
        ],
        BAD,
    ),
    (
        &[
            TLS,
            "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: missing.crt\n",
        ],
        BAD,
    ),
    (&[TLS, "  client_ca_file: ca.crt\n"], BAD),
    (
        &[
            TLS,
            "  client_auth_type: NoClientCert\n  client_ca_file: ca.crt\n",
        ],
        BAD,
    ),
    // Versions.
    (&[TLS, "  min_version: TLS12\n  max_version: TLS13\n"], GOOD),
    (&[TLS, "  min_version: TLS13\n"], GOOD),
    (&[TLS, "  max_version: TLS12\n"], GOOD),
    (&[TLS, "  min_version: TLS10\n"], GOOD),
    (&[TLS, "  min_version: TLS11\n"], GOOD),
    (&[TLS, "  min_version:\n"], GOOD),
    (&[TLS, "  min_version: ''\n"], BAD),
    (&[TLS, "  min_version: TLS14\n"], BAD),
    (&[TLS, "  min_version: 1.2\n"], BAD),
    (&[TLS, "  max_version: tls12\n"], BAD),
    (&["tls_server_config: {min_version: TLS14}"], BAD),
    // Suites and curves.
    (&[TLS, "  cipher_suites: []\n"], GOOD),
    (
        &[
            TLS,
            "  cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384]\n",
        ],
        GOOD,
    ),
    (
        &[
            TLS,
            "  cipher_suites: [TLS_AES_128_GCM_SHA256, TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256]\n",
        ],
        GOOD,
    ),
    (
        &[
            TLS,
            "  cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA]\n",
        ],
        GOOD,
    ),
    (
        &[
            TLS,
            "  cipher_suites: [TLS_RSA_WITH_AES_128_GCM_SHA256, TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256]\n",
        ],
        GOOD,
    ),
    (
        &[TLS, "  cipher_suites: [TLS_RSA_WITH_3DES_EDE_CBC_SHA]\n"],
        BAD,
    ),
    (&[TLS, "  cipher_suites: [2048]\n"], BAD),
    (&[TLS, "  cipher_suites: ['']\n"], BAD),
    (&[TLS, "  cipher_suites: {a: b}\n"], BAD),
    (&[TLS, "  curve_preferences: [X25519, CurveP256]\n"], GOOD),
    (
        &[TLS, "  curve_preferences: [CurveP521, CurveP384]\n"],
        GOOD,
    ),
    (&[TLS, "  curve_preferences: [P256]\n"], BAD),
    (&[TLS, "  prefer_server_cipher_suites: false\n"], GOOD),
    (&[TLS, "  prefer_server_cipher_suites: off\n"], GOOD),
    (&[TLS, "  prefer_server_cipher_suites: 1\n"], BAD),
    (&[TLS, "  prefer_server_cipher_suites: maybe\n"], BAD),
    // HTTP.
    (&["http_server_config: {http2: false}"], GOOD),
    (&["http_server_config: {http2: no}"], GOOD),
    (&["http_server_config: {http2: 'x'}"], BAD),
    (&[TLS, "http_server_config: {http2: true}\n"], GOOD),
    (&["http_server_config: {headers: {}}"], GOOD),
    (&["http_server_config: {headers: }"], GOOD),
    (
        &["http_server_config: {headers: {X-Frame-Options: deny}}"],
        GOOD,
    ),
    (
        &["http_server_config: {headers: {X-Frame-Options: sameorigin}}"],
        GOOD,
    ),
    (
        &["http_server_config: {headers: {X-Frame-Options: DENY}}"],
        BAD,
    ),
    (
        &["http_server_config: {headers: {X-Frame-Options: ''}}"],
        BAD,
    ),
    (
        &["http_server_config: {headers: {x-frame-options: deny}}"],
        BAD,
    ),
    (
        &["http_server_config: {headers: {X-Content-Type-Options: nosniff}}"],
        GOOD,
    ),
    (
        &["http_server_config: {headers: {X-Content-Type-Options: sniff}}"],
        BAD,
    ),
    (
        &["http_server_config: {headers: {X-XSS-Protection: 0}}"],
        GOOD,
    ),
    (
        &["http_server_config: {headers: {X-XSS-Protection: '1; mode=block'}}"],
        GOOD,
    ),
    (
        &["http_server_config: {headers: {X-XSS-Protection: ''}}"],
        GOOD,
    ),
    (
        &["http_server_config: {headers: {Strict-Transport-Security: max-age=31536000}}"],
        GOOD,
    ),
    (
        &["http_server_config: {headers: {Content-Security-Policy: default-src 'self'}}"],
        GOOD,
    ),
    (&["http_server_config: {headers: {X-Custom: a}}"], BAD),
    (&["http_server_config: {headers: [a]}"], BAD),
    // Users.
    (&["basic_auth_users: {}"], GOOD),
    (&["basic_auth_users: {alice: ", HASH, "}"], GOOD),
    (
        &["basic_auth_users: {alice: ", HASH, ", bob: ", HASH, "}"],
        GOOD,
    ),
    (&["basic_auth_users: {1: ", HASH, "}"], GOOD),
    (&["basic_auth_users: {'a:b': ", HASH, "}"], GOOD),
    (
        &["basic_auth_users: {alice: ", HASH, ", alice: ", HASH, "}"],
        BAD,
    ),
    (&["basic_auth_users: {alice: secret}"], BAD),
    (&["basic_auth_users: {alice: ''}"], BAD),
    (&["basic_auth_users: {alice: }"], BAD),
    (&["basic_auth_users: {alice: 5}"], BAD),
    (
        &[
            "basic_auth_users: {alice: $2y$03$zVzfhrFBqEFhBXxNsOnEJuKZh4P6VkrCVK2DGDHPUvS3gEGFmdj5q}",
        ],
        BAD,
    ),
    (
        &[
            "basic_auth_users: {alice: $2y$32$zVzfhrFBqEFhBXxNsOnEJuKZh4P6VkrCVK2DGDHPUvS3gEGFmdj5q}",
        ],
        BAD,
    ),
    (
        &[
            "basic_auth_users: {alice: $3y$04$zVzfhrFBqEFhBXxNsOnEJuKZh4P6VkrCVK2DGDHPUvS3gEGFmdj5q}",
        ],
        BAD,
    ),
    (
        &[
            "basic_auth_users: {alice: $2y$xx$zVzfhrFBqEFhBXxNsOnEJuKZh4P6VkrCVK2DGDHPUvS3gEGFmdj5q}",
        ],
        BAD,
    ),
    (&["basic_auth_users: [alice]"], BAD),
    (&["basic_auth_users: {alice: [", HASH, "]}"], BAD),
    (&[TLS, "basic_auth_users: {alice: ", HASH, "}"], GOOD),
    // YAML.
    (&["basic_auth_users: &users {alice: ", HASH, "}\n"], GOOD),
    (&["tls_server_config: {}\ntls_server_config: {}\n"], BAD),
];

/// Each file, in parts, what promtool 2.42 says, what the exporter says, and why.
const DIFFERENT: &[(&[&str], bool, bool, &str)] = &[
    (
        &["tls_server_config: {cert: \"CERT\", key: \"KEY\"}"],
        BAD,
        GOOD,
        "newer than promtool 2.42",
    ),
    (
        &[
            TLS,
            "  client_auth_type: RequireAndVerifyClientCert\n  client_ca: \"CA\"\n  client_allowed_sans: [a]\n",
        ],
        BAD,
        GOOD,
        "newer than promtool 2.42",
    ),
    (
        &["rate_limit: {interval: 1.5s, burst: 3}"],
        BAD,
        GOOD,
        "newer than promtool 2.42",
    ),
    (
        &[TLS, "  client_auth_type: RequireAndVerifyClientCert\n"],
        GOOD,
        BAD,
        "every certificate of a public authority would be let in",
    ),
    (
        &[TLS, "  client_auth_type: VerifyClientCertIfGiven\n"],
        GOOD,
        BAD,
        "every certificate of a public authority would be let in",
    ),
    (
        &[
            TLS,
            "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: empty\n",
        ],
        GOOD,
        BAD,
        "no client would be admitted",
    ),
    (
        &[TLS, "  max_version: TLS11\n"],
        GOOD,
        BAD,
        "1.2 is the lowest that is spoken",
    ),
    (
        &[TLS, "  min_version: TLS13\n  max_version: TLS12\n"],
        GOOD,
        BAD,
        "nothing would be spoken",
    ),
    (
        &[
            TLS,
            "  max_version: TLS12\n  cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA]\n",
        ],
        GOOD,
        BAD,
        "nothing would be spoken",
    ),
    (
        &[TLS, "  curve_preferences: [CurveP521]\n"],
        GOOD,
        BAD,
        "nothing would be spoken",
    ),
    (
        &[
            "basic_auth_users: {alice: $2y$04$short567890123456789012345678901234567890123456789012}",
        ],
        GOOD,
        BAD,
        "too short: no password would fit",
    ),
];

#[test]
fn files_are_judged_as_promtool_judges_them() {
    let mut wrong = String::new();
    let cases = ALIKE
        .iter()
        .map(|(parts, verdict)| (*parts, *verdict, *verdict))
        .chain(
            DIFFERENT
                .iter()
                .map(|(parts, its, ours, _)| (*parts, *its, *ours)),
        );
    let directory = Pki::new().written();
    for (parts, its, ours) in cases {
        let text = filled(&parts.concat(), directory.path());
        let path = directory.path().join("web.yml");
        std::fs::write(&path, &text).expect("a file");
        let promtool = Command::new("promtool")
            .args(["check", "web-config"])
            .arg(&path)
            .output()
            .expect(HOW_TO_INSTALL);
        if promtool.status.success() != its {
            let _ = writeln!(
                wrong,
                "promtool: {}\n{text}\n",
                String::from_utf8_lossy(&promtool.stderr)
            );
        }
        let read = WebFile::load(&path, &ProcessEnv);
        if read.config.is_some() != ours {
            let _ = writeln!(wrong, "the exporter: {:?}\n{text}\n", read.diagnostics);
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// Certificates in the place of their names, as YAML writes them on one line.
fn filled(text: &str, directory: &Path) -> String {
    let pem = |name: &str| {
        let pem = std::fs::read_to_string(directory.join(name)).expect("a file");
        pem.replace('\n', "\\n")
    };
    text.replace("\"CERT\"", &format!("\"{}\"", pem("server.crt")))
        .replace("\"KEY\"", &format!("\"{}\"", pem("server.key")))
        .replace("\"CA\"", &format!("\"{}\"", pem("ca.crt")))
}

#[test]
fn unsupported_tls_settings_are_reported() {
    let directory = Pki::new().written();
    let path = directory.path().join("web.yml");
    let said = |text: &str| {
        std::fs::write(&path, format!("{TLS}{text}")).expect("a file");
        let read = WebFile::load(&path, &ProcessEnv);
        let said = read.diagnostics.iter().map(|it| {
            let level = if it.level == odoo_mfa_exporter::config::Level::Error {
                "error"
            } else {
                "warning"
            };
            format!("{level}: {}", it.message)
        });
        said.collect::<Vec<_>>().join("\n")
    };
    insta::assert_snapshot!([
        "  min_version: TLS10\n",
        "  max_version: TLS10\n",
        "  cipher_suites: [TLS_RSA_WITH_AES_128_GCM_SHA256]\n",
        "  cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA, TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256]\n",
        "  curve_preferences: [CurveP521, X25519]\n",
        "  client_auth_type: RequireAnyClientCert\n",
        "  client_allowed_sans: [a]\n",
        "  client_auth_type: VerifyClientCertIfGiven\n  client_ca_file: ca.crt\n  client_allowed_sans: [a]\n",
        "  client_auth_type: RequireAndVerifyClientCert\n",
        "  cert: other\n",
        "basic_auth_users: {alice: hunter2, 'a:b': $2y$18$4VeFDzXIoPHKnKTU3O3GH.N.vZu06CVqczYZ8WvfzrddFU6tGqjR.}\n",
        "rate_limit: {interval: 1s, burst: 0}\n",
        "rate_limit: {interval: 5}\n",
    ].map(said).join("\n"), @r"
    warning: `min_version` is below 1.2, the lowest supported version
    error: `max_version` leaves no supported version
    warning: `cipher_suites` names no supported suite of TLS 1.2: clients must support TLS 1.3
    warning: `cipher_suites` names TLS_RSA_WITH_AES_128_GCM_SHA256, which is not supported
    warning: `cipher_suites` names TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA, which is not supported
    warning: `curve_preferences` names CurveP521, which is not supported
    warning: `client_auth_type` verifies nothing: any self-made certificate is accepted, and identifies no client
    warning: `client_allowed_sans` does not refuse clients without a certificate
    warning: `client_allowed_sans` does not refuse clients without a certificate
    error: `client_auth_type` verifies certificates without authorities: a certificate of any public authority would be accepted
    warning: `cert` is set together with `cert_file`, which takes precedence
    error: `alice` has a value that is not a bcrypt hash
    warning: `a:b` contains `:`: such a user cannot sign in
    warning: `a:b` has a hash with cost 18: each first sign-in takes seconds
    error: `burst` allows no request
    error: `interval` has no unit
    ");
}
