//! The fields of `--web.config.file`: those of exporter-toolkit.

use crate::config::schema::{Kind, Section, field};

pub(super) static ROOT: Section = Section {
    path: "",
    fields: &[
        field(
            "tls_server_config",
            Kind::Section(&TLS),
            "",
            "HTTPS. Without a certificate it is HTTP.",
        ),
        field(
            "http_server_config",
            Kind::Section(&HTTP),
            "",
            "What is said over it.",
        ),
        field(
            "basic_auth_users",
            Kind::Map("user", &Kind::Text),
            "`{}`",
            "Users, and the bcrypt hashes of their passwords: `htpasswd -nB USER`. If there are any, nobody else gets in.",
        ),
        field(
            "rate_limit",
            Kind::Section(&RATE_LIMIT),
            "",
            "How many requests are answered; the others get 429. Health endpoints do not count.",
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
            "The certificate and those between it and its authority, PEM. Relative paths start at this file.",
        ),
        field("key_file", Kind::Path, "", "Its private key, PEM."),
        field("cert", Kind::Text, "", "The certificates themselves."),
        field("key", Kind::Text, "", "The private key itself."),
        field(
            "client_auth_type",
            Kind::Word(&CLIENT_AUTH),
            "`NoClientCert`",
            "Whether clients show certificates, and whether these are verified. `RequireClientCert` is an old name of `RequireAnyClientCert`.",
        ),
        field(
            "client_ca_file",
            Kind::Path,
            "",
            "The authorities of the clients' certificates, PEM.",
        ),
        field("client_ca", Kind::Text, "", "The authorities themselves."),
        field(
            "client_allowed_sans",
            Kind::List(&Kind::Text),
            "any",
            "A client's certificate must have one of these as a subject alternative name (DNS, IP, e-mail, URI).",
        ),
        field(
            "min_version",
            Kind::Word(&VERSIONS),
            "`TLS12`",
            "The lowest version. Versions below 1.2 are not spoken.",
        ),
        field(
            "max_version",
            Kind::Word(&VERSIONS),
            "`TLS13`",
            "The highest version.",
        ),
        field(
            "cipher_suites",
            Kind::List(&Kind::Text),
            "all that are spoken",
            "Suites of TLS 1.2, best first. Those without forward secrecy and those in CBC mode are not spoken. TLS 1.3 has its own.",
        ),
        field(
            "prefer_server_cipher_suites",
            Kind::Flag,
            "`true`",
            "Whether the order of the server's suites decides, not that of the client's.",
        ),
        field(
            "curve_preferences",
            Kind::List(&Kind::Word(&CURVES)),
            "`X25519`, `CurveP256`, `CurveP384`",
            "Curves of the key exchange, best first. `CurveP521` is not spoken.",
        ),
    ],
};

pub(super) static HTTP: Section = Section {
    path: "http_server_config",
    fields: &[
        field(
            "http2",
            Kind::Flag,
            "`true`",
            "Whether HTTP/2 is spoken over TLS.",
        ),
        field(
            "headers",
            Kind::Map("header", &Kind::Text),
            "`{}`",
            "Headers of every answer, in place of the exporter's own: `Strict-Transport-Security`, `X-Content-Type-Options` (`nosniff`), `X-Frame-Options` (`deny`, `sameorigin`), `X-XSS-Protection`, `Content-Security-Policy`.",
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
            "Time in which one request is allowed; 0 is no limit.",
        ),
        field(
            "burst",
            Kind::Number,
            "`0`",
            "How many may come at once after a pause.",
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
