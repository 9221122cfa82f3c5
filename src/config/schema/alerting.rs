//! The fields of the section `alerting`.

use super::common::{TLS, field};
use super::{Field, Kind, Section};

pub(in crate::config) static ALERTING: Section = Section {
    path: "alerting",
    fields: &[
        field(
            "alertmanagers",
            Kind::List(&Kind::Section(&ALERTMANAGER)),
            "`[]`",
            "Alertmanagers. Each gets every alert.",
        ),
        field(
            "webhooks",
            Kind::List(&Kind::Section(&WEBHOOK)),
            "`[]`",
            "Webhooks, for setups without Alertmanager. Each gets every alert in the format of Alertmanager's webhooks.",
        ),
        field(
            "evaluation_interval",
            Kind::Duration,
            "`15s`",
            "Interval between evaluations of the rules.",
        ),
        field(
            "resend_interval",
            Kind::Duration,
            "`1m`",
            "Interval at which Alertmanagers get a firing alert again. After four intervals without it, they resolve the alert.",
        ),
        field(
            "repeat_interval",
            Kind::Duration,
            "`4h`",
            "Interval at which webhooks get a firing alert again.",
        ),
        field(
            "rules",
            Kind::Map("alert", &Kind::Section(&RULE)),
            "`{}`",
            "Changes to single rules, by the name of the alert.",
        ),
        field(
            "silences",
            Kind::List(&Kind::Section(&SILENCE)),
            "`[]`",
            "Targets that rules ignore.",
        ),
    ],
};

pub(in crate::config) const BASIC_AUTH_FIELD: Field = field(
    "basic_auth",
    Kind::Section(&BASIC_AUTH),
    "",
    "User name and password.",
);
pub(in crate::config) const AUTHORIZATION_FIELD: Field = field(
    "authorization",
    Kind::Section(&AUTHORIZATION),
    "",
    "A bearer token.",
);
const TLS_FIELD: Field = field(
    "tls",
    Kind::Section(&TLS),
    "",
    "Private certificate authorities and client certificates; see `targets[].tls`.",
);

pub(in crate::config) static ALERTMANAGER: Section = Section {
    path: "alerting.alertmanagers[]",
    fields: &[
        field(
            "url",
            Kind::Url,
            "required",
            "Base address, such as `http://127.0.0.1:9093`.",
        ),
        field(
            "dns",
            Kind::Flag,
            "`false`",
            "Send to each address (A, AAAA) of the host's name, resolved again every minute.",
        ),
        BASIC_AUTH_FIELD,
        AUTHORIZATION_FIELD,
        TLS_FIELD,
    ],
};

pub(in crate::config) static WEBHOOK: Section = Section {
    path: "alerting.webhooks[]",
    fields: &[
        field(
            "name",
            Kind::Text,
            "required",
            "Name in logs, metrics and notifications. The URL is never shown.",
        ),
        field("url", Kind::Url, "required", "Address of the webhook."),
        field(
            "send_resolved",
            Kind::Flag,
            "`true`",
            "Also send resolved alerts.",
        ),
        BASIC_AUTH_FIELD,
        AUTHORIZATION_FIELD,
        TLS_FIELD,
    ],
};

pub(in crate::config) static BASIC_AUTH: Section = Section {
    path: "alerting: basic_auth",
    fields: &[
        field("username", Kind::Text, "required", "User name."),
        field(
            "password_file",
            Kind::Path,
            "required",
            "A file that contains only the password.",
        ),
    ],
};

pub(in crate::config) static AUTHORIZATION: Section = Section {
    path: "alerting: authorization",
    fields: &[field(
        "credentials_file",
        Kind::Path,
        "required",
        "A file that contains only the token.",
    )],
};

pub(in crate::config) static SILENCE: Section = Section {
    path: "alerting.silences[]",
    fields: &[
        field(
            "labels",
            Kind::Map("label", &Kind::Text),
            "required",
            "Labels that a target must have, including `target`, its name; all of them must match. `*` matches any text, `?` one character.",
        ),
        field(
            "rules",
            Kind::List(&Kind::Text),
            "all",
            "Limits the silence to these alerts.",
        ),
    ],
};

pub(in crate::config) static RULE: Section = Section {
    path: "alerting.rules.NAME",
    fields: &[
        field(
            "enabled",
            Kind::Flag,
            "`true`",
            "`false` disables the rule.",
        ),
        field(
            "severity",
            Kind::Word(&["critical", "warning", "info", "none"]),
            "the rule's",
            "The label `severity`.",
        ),
        field(
            "for",
            Kind::Duration,
            "the rule's",
            "Time that the condition must hold before the alert fires.",
        ),
        field(
            "keep_firing_for",
            Kind::Duration,
            "the rule's",
            "Time that the alert keeps firing after the condition has ended.",
        ),
        field(
            "threshold",
            Kind::Number,
            "the rule's",
            "The threshold of the rule, if it has one: docs/alerting.md.",
        ),
        field(
            "labels",
            Kind::Map("label", &Kind::Text),
            "`{}`",
            "Additional labels of the alert.",
        ),
        field(
            "annotations",
            Kind::Map("annotation", &Kind::Text),
            "`{}`",
            "Additional annotations of the alert, or replacements. `{{ $labels.NAME }}` and `{{ $value }}` are expanded.",
        ),
    ],
};
