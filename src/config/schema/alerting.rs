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
            "Each of them gets every alert.",
        ),
        field(
            "webhooks",
            Kind::List(&Kind::Section(&WEBHOOK)),
            "`[]`",
            "For those without Alertmanager: each gets every alert in the format of Alertmanager's webhooks.",
        ),
        field(
            "evaluation_interval",
            Kind::Duration,
            "`15s`",
            "From one look at the targets to the next.",
        ),
        field(
            "resend_interval",
            Kind::Duration,
            "`1m`",
            "How often Alertmanagers are told of an alert that fires. Not told for four times as long, they take it for resolved.",
        ),
        field(
            "repeat_interval",
            Kind::Duration,
            "`4h`",
            "How often webhooks are told of an alert that fires on.",
        ),
        field(
            "rules",
            Kind::Map("alert", &Kind::Section(&RULE)),
            "`{}`",
            "Changes to single rules, by the alert's name.",
        ),
        field(
            "silences",
            Kind::List(&Kind::Section(&SILENCE)),
            "`[]`",
            "Targets that rules are not evaluated for.",
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
    "Private certification authorities and client certificates; see `targets[].tls`.",
);

pub(in crate::config) static ALERTMANAGER: Section = Section {
    path: "alerting.alertmanagers[]",
    fields: &[
        field(
            "url",
            Kind::Url,
            "required",
            "Its base, such as `http://127.0.0.1:9093`.",
        ),
        field(
            "dns",
            Kind::Flag,
            "`false`",
            "Send to each address (A, AAAA) that the host's name has, asked again every minute.",
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
            "What it is called in logs and metrics, and in what it receives. Its URL is never shown.",
        ),
        field("url", Kind::Url, "required", "Where to POST."),
        field(
            "send_resolved",
            Kind::Flag,
            "`true`",
            "Whether to tell of ends too.",
        ),
        BASIC_AUTH_FIELD,
        AUTHORIZATION_FIELD,
        TLS_FIELD,
    ],
};

pub(in crate::config) static BASIC_AUTH: Section = Section {
    path: "alerting: basic_auth",
    fields: &[
        field("username", Kind::Text, "required", "The user."),
        field(
            "password_file",
            Kind::Path,
            "required",
            "A file with the password and nothing else.",
        ),
    ],
};

pub(in crate::config) static AUTHORIZATION: Section = Section {
    path: "alerting: authorization",
    fields: &[field(
        "credentials_file",
        Kind::Path,
        "required",
        "A file with the token and nothing else.",
    )],
};

pub(in crate::config) static SILENCE: Section = Section {
    path: "alerting.silences[]",
    fields: &[
        field(
            "labels",
            Kind::Map("label", &Kind::Text),
            "required",
            "What the target's labels, or `target`, its name, must be; all of them. `*` stands for any text, `?` for one character.",
        ),
        field(
            "rules",
            Kind::List(&Kind::Text),
            "all",
            "Only these alerts.",
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
            "Whether the rule is evaluated.",
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
            "How long it must hold before it fires.",
        ),
        field(
            "keep_firing_for",
            Kind::Duration,
            "the rule's",
            "How long it goes on firing after it ceased to hold.",
        ),
        field(
            "threshold",
            Kind::Number,
            "the rule's",
            "The number that the rule compares with, where it has one: docs/alerting.md.",
        ),
        field(
            "labels",
            Kind::Map("label", &Kind::Text),
            "`{}`",
            "Added to the alert.",
        ),
        field(
            "annotations",
            Kind::Map("annotation", &Kind::Text),
            "`{}`",
            "Added to the alert, or put in the place of its own. `{{ $labels.NAME }}` and `{{ $value }}` are filled in.",
        ),
    ],
};
