//! The fields of `--web.config.file`: those of exporter-toolkit.

use crate::config::schema::{Kind, Section, field};

pub(super) static ROOT: Section = Section {
    path: "",
    fields: &[
        field(
            "tls_server_config",
            Kind::Section(&TLS),
            "",
            "HTTPS. Without a certificate, the exporter serves HTTP.",
        ),
        field(
            "http_server_config",
            Kind::Section(&HTTP),
            "",
            "Settings of the HTTP server.",
        ),
        field(
            "basic_auth_users",
            Kind::Map("user", &Kind::Text),
            "`{}`",
            "Users, and the bcrypt hashes of their passwords: `htpasswd -nB USER`. If there are any, other clients are refused.",
        ),
        field(
            "rate_limit",
            Kind::Section(&RATE_LIMIT),
            "",
            "Rate limit of all requests; excess requests get 429. Health endpoints do not count.",
        ),
    ],
};

pub(super) static TLS: Section = Section {
    path: "tls_server_config",
    fields: &[
        field(
            "cert_file",
            Kind::Path,
            "",
            "The certificate and its intermediate certificates, PEM. Paths are relative to the directory of this file.",
        ),
        field("key_file", Kind::Path, "", "Its private key, PEM."),
        field("cert", Kind::Text, "", "The certificates, inline."),
        field("key", Kind::Text, "", "The private key, inline."),
        field(
            "client_auth_type",
            Kind::Word(&CLIENT_AUTH),
            "`NoClientCert`",
            "Policy for client certificates. `RequireClientCert` is an old name of `RequireAnyClientCert`.",
        ),
        field(
            "client_ca_file",
            Kind::Path,
            "",
            "Authorities of client certificates, PEM.",
        ),
        field("client_ca", Kind::Text, "", "The authorities, inline."),
        field(
            "client_allowed_sans",
            Kind::List(&Kind::Text),
            "any",
            "Subject alternative names (DNS, IP, e-mail, URI), of which a client certificate must have one.",
        ),
        field(
            "min_version",
            Kind::Word(&VERSIONS),
            "`TLS12`",
            "Lowest TLS version. Versions below 1.2 are not supported.",
        ),
        field(
            "max_version",
            Kind::Word(&VERSIONS),
            "`TLS13`",
            "Highest TLS version.",
        ),
        field(
            "cipher_suites",
            Kind::List(&Kind::Text),
            "all supported suites",
            "Suites of TLS 1.2, best first. Suites without forward secrecy and in CBC mode are not supported. TLS 1.3 has its own.",
        ),
        field(
            "prefer_server_cipher_suites",
            Kind::Flag,
            "`true`",
            "`true`: the order of the server decides; `false`: that of the client.",
        ),
        field(
            "curve_preferences",
            Kind::List(&Kind::Word(&CURVES)),
            "`X25519`, `CurveP256`, `CurveP384`",
            "Curves of the key exchange, best first. `CurveP521` is not supported.",
        ),
    ],
};

pub(super) static HTTP: Section = Section {
    path: "http_server_config",
    fields: &[
        field("http2", Kind::Flag, "`true`", "Serve HTTP/2 over TLS."),
        field(
            "headers",
            Kind::Map("header", &Kind::Text),
            "`{}`",
            "Headers of every response, instead of the exporter's own: `Strict-Transport-Security`, `X-Content-Type-Options` (`nosniff`), `X-Frame-Options` (`deny`, `sameorigin`), `X-XSS-Protection`, `Content-Security-Policy`.",
        ),
    ],
};

pub(super) static RATE_LIMIT: Section = Section {
    path: "rate_limit",
    fields: &[
        field(
            "interval",
            Kind::Duration,
            "`0`",
            "Time for each allowed request; 0 is no limit.",
        ),
        field(
            "burst",
            Kind::Number,
            "`0`",
            "Requests that may arrive at once after a pause.",
        ),
    ],
};

pub(super) const CLIENT_AUTH: [&str; 6] = [
    "NoClientCert",
    "RequestClientCert",
    "RequireClientCert",
    "RequireAnyClientCert",
    "VerifyClientCertIfGiven",
    "RequireAndVerifyClientCert",
];

pub(super) const VERSIONS: [&str; 4] = ["TLS10", "TLS11", "TLS12", "TLS13"];

pub(super) const CURVES: [&str; 4] = ["X25519", "CurveP256", "CurveP384", "CurveP521"];
