//! Declarations that several sections share.

use super::{Field, Kind, Section};

pub(in crate::config) const fn field(
    name: &'static str,
    kind: Kind,
    default: &'static str,
    meaning: &'static str,
) -> Field {
    Field {
        name,
        kind,
        default,
        meaning,
        example: "",
        alternative: false,
    }
}

pub(in crate::config) static TLS: Section = Section {
    path: "targets[].tls",
    fields: &[
        field(
            "ca_file",
            Kind::Path,
            "",
            "PEM certificates that are trusted in addition to the system's: authorities, or the certificate that the server presents.",
        ),
        field(
            "system_roots",
            Kind::Flag,
            "`true`",
            "`false`: trust the certificates in `ca_file` alone. Needs `ca_file`.",
        ),
        field(
            "cert_file",
            Kind::Path,
            "",
            "The client certificate, PEM. Needs `key_file`.",
        ),
        field(
            "key_file",
            Kind::Path,
            "",
            "The client certificate's private key, PEM.",
        ),
        field(
            "server_name",
            Kind::Text,
            "the host in `url`",
            "The name to ask for (SNI), which the server's certificate must be for.",
        ),
    ],
};
