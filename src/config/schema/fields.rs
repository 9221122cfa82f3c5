//! The one declaration of the fields: names, types, defaults and meaning.

use super::alerting::ALERTING;
use super::common::{TLS, field};
use super::{Field, Kind, Section};
use crate::domain::UserType;
use crate::domain::finding;

pub(in crate::config) static ROOT: Section = Section {
    path: "",
    fields: &[
        field(
            "targets",
            Kind::List(&Kind::Section(&TARGET)),
            "required",
            "The Odoo databases to poll.",
        ),
        field(
            "defaults",
            Kind::Section(&DEFAULTS),
            "",
            "Defaults for all targets.",
        )
        .example("{interval: 10m, accepted_factors: [totp, passkey]}"),
        field(
            "accept_findings",
            Kind::List(&Kind::Section(&ACCEPTANCE)),
            "`[]`",
            "Findings that the organization lives with. They change reports and grades, never alerts or metrics; see docs/scan.md.",
        )
        .example("[{finding: trusted_devices, reason: browsers of the office, approved_by: Jane Doe, ticket: SEC-12, expires: 2027-06-30}]"),
        field(
            "report",
            Kind::Section(&REPORT),
            "",
            "What a report says about itself.",
        )
        .example("{organization: Example Ltd}"),
        field(
            "privileged_roles",
            Kind::Map("role", &Kind::List(&Kind::XmlId)),
            "the roles below",
            "Roles and their groups, by XML id. Added to the default roles. A default role that is named here gets these groups instead of its own; an empty list removes it. The name is the value of the label `role`: lower case letters, digits, `_`.",
        )
        .example("{payroll: [hr_payroll.group_hr_payroll_manager], website: []}"),
        field(
            "privacy",
            Kind::Section(&PRIVACY),
            "",
            "Where names of users may appear.",
        )
        .example("{names_in_alerts: true}"),
        field(
            "alerting",
            Kind::Section(&ALERTING),
            "",
            "The exporter's own alerts, and their receivers; see docs/alerting.md.",
        )
        .example("{alertmanagers: [{url: 'http://127.0.0.1:9093'}]}"),
        field(
            "web",
            Kind::Section(&WEB),
            "",
            "Access over HTTP.",
        )
        .example("{external_url: https://proxy.example.com/odoo-mfa/, roles: {scrape: [prometheus], read: [auditor], read_names: [officer]}}"),
        field(
            "metrics",
            Kind::Section(&METRICS),
            "",
            "Selection of the exported metrics.",
        )
        .example("{disable: [odoo_api_keys_unused]}"),
    ],
};

const INTERVAL: Field = field(
    "interval",
    Kind::Duration,
    "`5m`",
    "Time from the start of one poll to the start of the next. Must be longer than `timeout`.",
);
const TIMEOUT: Field = field(
    "timeout",
    Kind::Duration,
    "`30s`",
    "Deadline of a whole poll, including all its requests.",
);
const ACCEPTED_FACTORS: Field = field(
    "accepted_factors",
    Kind::List(&Kind::Word(&["totp", "passkey", "email_policy", "sso"])),
    "`[totp]`",
    "Accepted second factors. A user with at least one of them is protected.",
);
const GRACE: Field = field(
    "grace",
    Kind::Duration,
    "`14d`",
    "Grace period after the creation of an account. `0s`: none.",
);
const DORMANT: Field = field(
    "dormant",
    Kind::Duration,
    "`90d`",
    "Time without a login after which an account is dormant.",
);
const COVERAGE_TARGET: Field = field(
    "coverage_target",
    Kind::Map("`internal`, `portal`, `public`, `none`", &Kind::Ratio),
    "`{internal: 0.9}`",
    "Coverage target for each type of user. Replaces the default as a whole: `{}` sets none.",
);

static EXEMPTION_ENTRY: Kind = Kind::Section(&EXEMPTION);
const EXEMPTIONS: Field = field(
    "exemptions",
    Kind::List(&EXEMPTION_ENTRY),
    "`[]`",
    "Users exempt from the second factor.",
)
.example("[{login: mfa-exporter, reason: service}, {login_glob: 'kiosk-*', reason: kiosk, expires: 2027-01-31}]");

pub(in crate::config) static DEFAULTS: Section = Section {
    path: "defaults",
    fields: &[
        INTERVAL,
        TIMEOUT,
        ACCEPTED_FACTORS,
        GRACE,
        DORMANT,
        COVERAGE_TARGET,
        Field {
            meaning: "Exemptions of every target, added to its own. An entry concerns the targets on which it matches users; it is unmatched only if it matches users of no target.",
            ..EXEMPTIONS
        },
    ],
};

pub(in crate::config) static TARGET: Section = Section {
    path: "targets[]",
    fields: &[
        field(
            "name",
            Kind::Text,
            "required",
            "The value of the label `target`. Must be unique.",
        )
        .example("erp"),
        field(
            "url",
            Kind::Url,
            "required",
            "Address of the Odoo server, such as `https://erp.example.com`. Without credentials and query.",
        )
        .example("https://erp.example.com"),
        field(
            "database",
            Kind::Text,
            "required",
            "The name of the database.",
        )
        .example("prod"),
        field(
            "login",
            Kind::Text,
            "",
            "Login of the polling account. Required before Odoo 19; allowed for later versions.",
        )
        .example("mfa-exporter"),
        field(
            "api_key_file",
            Kind::Path,
            "",
            "A file that contains the account's API key. Exactly one of the four `api_key...` fields is required.",
        )
        .example("erp.key")
        .alternative(),
        field(
            "api_key_env",
            Kind::Text,
            "",
            "Name of an environment variable that contains the API key.",
        )
        .example("ODOO_ERP_KEY")
        .alternative(),
        field(
            "api_key_credential",
            Kind::Text,
            "",
            "Name of a systemd credential that contains the API key (`LoadCredential=`).",
        )
        .example("erp.key")
        .alternative(),
        field(
            "api_key",
            Kind::Text,
            "",
            "The API key itself. Allowed with a warning, because configurations get copied.",
        )
        .alternative(),
        field(
            "api",
            Kind::Word(&["auto", "json2", "jsonrpc"]),
            "`auto`",
            "Protocol. `auto` detects it: JSON-2 if available (Odoo 19 and later), otherwise JSON-RPC.",
        ),
        INTERVAL,
        TIMEOUT,
        ACCEPTED_FACTORS,
        GRACE,
        DORMANT,
        COVERAGE_TARGET,
        field(
            "labels",
            Kind::Map("label", &Kind::Text),
            "`{}`",
            "Labels for every series of this target. Labels that the exporter or Prometheus uses are refused.",
        )
        .example("{team: finance}"),
        field(
            "tls",
            Kind::Section(&TLS),
            "",
            "Private certificate authorities and client certificates.",
        )
        .example("{ca_file: company-ca.pem}"),
        field(
            "proxy",
            Kind::Url,
            "",
            "A proxy for requests to Odoo: `http`, `https`, `socks5` or `socks5h`. May contain credentials, which are never shown.",
        )
        .example("http://proxy.example.com:3128"),
        field(
            "allow_plain_http",
            Kind::Flag,
            "`false`",
            "Allow `http://` to another host, which sends the API key in clear text.",
        ),
        field(
            "accept_missing",
            Kind::List(&Kind::Word(&[
                "users",
                "totp",
                "passkeys",
                "api_keys",
                "trusted_devices",
                "policy",
                "modules",
                "groups",
                "logins",
            ])),
            "`[]`",
            "Capabilities that the account lacks on purpose: no alert, and a finding of severity info.",
        )
        .example("[modules]"),
        field(
            "accept_bypasses",
            Kind::List(&Kind::Word(&[
                "trusted_network",
                "master_password",
                "impersonation",
            ])),
            "`[]`",
            "Bypasses of the second factor that exist on purpose: no alert, and a finding of severity info.",
        )
        .example("[impersonation]"),
        EXEMPTIONS,
        field(
            "surface",
            Kind::Section(&SURFACE),
            "off",
            "Checks, without credentials, which endpoints of Odoo are exposed.",
        )
        .example("{vantages: [{name: outside, expect_blocked: [xmlrpc, jsonrpc, database_manager, database_list]}]}"),
    ],
};

pub(in crate::config) static EXEMPTION: Section = Section {
    path: "targets[].exemptions[]",
    fields: &[
        field(
            "login",
            Kind::Text,
            "",
            "A login. Exactly one of `login`, `login_glob` and `group` is required.",
        )
        .alternative(),
        field(
            "login_glob",
            Kind::Text,
            "",
            "A pattern for logins: `*` matches any text, `?` one character. Case-sensitive.",
        )
        .alternative(),
        field(
            "group",
            Kind::XmlId,
            "",
            "All users in this group, including implied groups.",
        )
        .alternative(),
        field(
            "user_type",
            Kind::Word(UserType::WORDS),
            "`internal` for a login or a pattern, any for a group",
            "Limits the entry to this type of user. Visitors can sign up at a website with any login, so exempt portal users by login only if they cannot.",
        ),
        field(
            "reason",
            Kind::Word(&["kiosk", "service", "break_glass", "other"]),
            "required",
            "The reason.",
        ),
        field(
            "expires",
            Kind::Date,
            "never",
            "The last day of the exemption, in UTC. Afterwards it is a finding.",
        ),
        APPROVED_BY,
        TICKET,
        field(
            "comment",
            Kind::Text,
            "",
            "Anything else that the report says about it.",
        ),
    ],
};

const APPROVED_BY: Field = field(
    "approved_by",
    Kind::Text,
    "",
    "Who approved it, for the report.",
);
const TICKET: Field = field(
    "ticket",
    Kind::Text,
    "",
    "Where it was decided, for the report.",
);

pub(in crate::config) static ACCEPTANCE: Section = Section {
    path: "accept_findings[]",
    fields: &[
        field(
            "finding",
            Kind::Word(finding::Kind::WORDS),
            "required",
            "The kind of finding, as in docs/scan.md. `capability_missing` cannot be accepted here: use `accept_missing`.",
        ),
        field(
            "subject",
            Kind::Text,
            "every subject",
            "Only the finding about this, such as a role or `outside/xmlrpc`.",
        ),
        field(
            "targets",
            Kind::List(&Kind::Text),
            "every target",
            "Targets, by name or pattern: `*` stands for any text, `?` for one character.",
        ),
        field("reason", Kind::Text, "required", "Why."),
        APPROVED_BY,
        TICKET,
        field(
            "expires",
            Kind::Date,
            "never",
            "The last day on which it holds, UTC. Afterwards the finding counts again.",
        ),
    ],
};

pub(in crate::config) static REPORT: Section = Section {
    path: "report",
    fields: &[field(
        "organization",
        Kind::Text,
        "",
        "Whose report it is. It stands in the title and at the foot of each printed page.",
    )],
};

pub(in crate::config) static SURFACE: Section = Section {
    path: "targets[].surface",
    fields: &[
        field(
            "interval",
            Kind::Duration,
            "`1h`",
            "Interval between checks.",
        ),
        field(
            "vantages",
            Kind::List(&Kind::Section(&VANTAGE)),
            "required",
            "Vantage points from which to check; at least one.",
        ),
    ],
};

pub(in crate::config) static VANTAGE: Section = Section {
    path: "targets[].surface.vantages[]",
    fields: &[
        field(
            "name",
            Kind::Text,
            "required",
            "The value of the label `vantage`. Must be unique within the target.",
        ),
        field(
            "url",
            Kind::Url,
            "the target's",
            "Address of Odoo as seen from this vantage point.",
        ),
        field(
            "proxy",
            Kind::Url,
            "none",
            "A proxy at the vantage point. The target's own proxy is not used.",
        ),
        field(
            "expect_blocked",
            Kind::List(&Kind::Word(&[
                "xmlrpc",
                "jsonrpc",
                "json2",
                "database_manager",
                "database_list",
            ])),
            "`[]`, with a warning",
            "Endpoints that must be blocked from this vantage point. Only these raise alerts.",
        ),
    ],
};

pub(in crate::config) static PRIVACY: Section = Section {
    path: "privacy",
    fields: &[
        field(
            "names_in_alerts",
            Kind::Flag,
            "`false`",
            "Name the affected users in the annotations of alerts.",
        ),
        field(
            "store_logins",
            Kind::Flag,
            "`false`",
            "Store logins in the change log, in addition to user ids.",
        ),
    ],
};

pub(in crate::config) static WEB: Section = Section {
    path: "web",
    fields: &[
        field(
            "external_url",
            Kind::Url,
            "",
            "External address of the exporter, including the path of a reverse proxy. Used by `/sd` and by links in alerts. Links in pages are relative and do not need it.",
        ),
        field(
            "roles",
            Kind::Section(&WEB_ROLES),
            "",
            "Roles of signed-in users and clients; see docs/web.md.",
        ),
    ],
};

pub(in crate::config) static WEB_ROLES: Section = Section {
    path: "web.roles",
    fields: &[
        field(
            "scrape",
            Kind::List(&Kind::Text),
            "every user",
            "Clients that may read metrics: users of `--web.config.file`; `certificate:NAME`, a verified client certificate with this common name or subject alternative name, which requires no password; `'*'`, all clients, without signing in.",
        ),
        field(
            "read",
            Kind::List(&Kind::Text),
            "every user",
            "Clients that may read the pages and the API, without names of users.",
        ),
        field(
            "read_names",
            Kind::List(&Kind::Text),
            "`[]`",
            "Clients that may read names of users, and everything that `read` allows. They must sign in: `'*'` is not allowed.",
        ),
    ],
};

pub(in crate::config) static METRICS: Section = Section {
    path: "metrics",
    fields: &[field(
        "disable",
        Kind::List(&Kind::Text),
        "`[]`",
        "Families that are not exported, by name or pattern: `odoo_api_key*`. The exporter does not request what only they need. Its own families (`odoo_mfa_exporter_...`) and `odoo_up` cannot be disabled.",
    )],
};
