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
            "What holds for each target that does not say otherwise.",
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
            "Groups, by XML id, that make somebody privileged. Added to the default roles; a default role that is named here gets these groups instead of its own, and an empty list removes it. The name becomes the value of the label `role`: lower case letters, digits, `_`.",
        )
        .example("{payroll: [hr_payroll.group_hr_payroll_manager], website: []}"),
        field(
            "privacy",
            Kind::Section(&PRIVACY),
            "",
            "Where names of people may go.",
        )
        .example("{names_in_alerts: true}"),
        field(
            "alerting",
            Kind::Section(&ALERTING),
            "",
            "What the daemon alerts on, and whom it tells; see docs/alerting.md.",
        )
        .example("{alertmanagers: [{url: 'http://127.0.0.1:9093'}]}"),
        field(
            "web",
            Kind::Section(&WEB),
            "",
            "Who may see what over HTTP.",
        )
        .example("{external_url: https://proxy.example.com/odoo-mfa/, roles: {scrape: [prometheus], read: [auditor], read_names: [officer]}}"),
        field(
            "metrics",
            Kind::Section(&METRICS),
            "",
            "Which metrics are exported.",
        )
        .example("{disable: [odoo_api_keys_unused]}"),
    ],
};

const INTERVAL: Field = field(
    "interval",
    Kind::Duration,
    "`5m`",
    "From the start of one poll to the start of the next. Longer than `timeout`.",
);
const TIMEOUT: Field = field(
    "timeout",
    Kind::Duration,
    "`30s`",
    "The one deadline of a whole poll, all its requests together.",
);
const ACCEPTED_FACTORS: Field = field(
    "accepted_factors",
    Kind::List(&Kind::Word(&["totp", "passkey", "email_policy", "sso"])),
    "`[totp]`",
    "What counts as a second factor: whoever has at least one of these is protected.",
);
const GRACE: Field = field(
    "grace",
    Kind::Duration,
    "`14d`",
    "How long after its creation an account may do without. `0s`: not at all.",
);
const DORMANT: Field = field(
    "dormant",
    Kind::Duration,
    "`90d`",
    "After how long without a login an account is dormant.",
);
const COVERAGE_TARGET: Field = field(
    "coverage_target",
    Kind::Map("`internal`, `portal`, `public`, `none`", &Kind::Ratio),
    "`{internal: 0.9}`",
    "The wanted coverage. Replaces the default as a whole: `{}` wants none.",
);

static EXEMPTION_ENTRY: Kind = Kind::Section(&EXEMPTION);
const EXEMPTIONS: Field = field(
    "exemptions",
    Kind::List(&EXEMPTION_ENTRY),
    "`[]`",
    "Who is excused from the second factor.",
)
.example("[{login: mfa-auditor, reason: service}, {login_glob: 'kiosk-*', reason: kiosk, expires: 2027-01-31}]");

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
            "The value of the label `target`. No two targets share one.",
        )
        .example("erp"),
        field(
            "url",
            Kind::Url,
            "required",
            "Where Odoo answers, such as `https://erp.example.com`. No credentials, no query.",
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
            "The login of the polling account. Needed below Odoo 19, harmless above.",
        )
        .example("mfa-auditor"),
        field(
            "api_key_file",
            Kind::Path,
            "",
            "A file that holds the account's API key. Exactly one of the four `api_key...` is needed.",
        )
        .example("erp.key")
        .alternative(),
        field(
            "api_key_env",
            Kind::Text,
            "",
            "The name of an environment variable that holds the API key.",
        )
        .example("ODOO_ERP_KEY")
        .alternative(),
        field(
            "api_key_credential",
            Kind::Text,
            "",
            "The name of a systemd credential that holds the API key (`LoadCredential=`).",
        )
        .example("erp.key")
        .alternative(),
        field(
            "api_key",
            Kind::Text,
            "",
            "The API key itself. Works, but warns: configurations get copied around.",
        )
        .alternative(),
        field(
            "api",
            Kind::Word(&["auto", "json2", "jsonrpc"]),
            "`auto`",
            "How to talk to Odoo. `auto` asks the server: JSON-2 where it exists (Odoo 19), JSON-RPC otherwise.",
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
            "Labels for every series of this target. Those that the exporter or Prometheus uses itself are refused.",
        )
        .example("{team: finance}"),
        field(
            "tls",
            Kind::Section(&TLS),
            "",
            "Private certification authorities and client certificates.",
        )
        .example("{ca_file: company-ca.pem}"),
        field(
            "proxy",
            Kind::Url,
            "",
            "A proxy on the way to Odoo: `http`, `https`, `socks5` or `socks5h`. May hold credentials, which are never shown.",
        )
        .example("http://proxy.example.com:3128"),
        field(
            "allow_plain_http",
            Kind::Flag,
            "`false`",
            "Allow `http://` to a host other than this machine, and so the API key in clear on the network.",
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
            "Capabilities that the account is known and meant to lack: their absence is no finding and no alert.",
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
            "Ways around the second factor that are known and meant to be there: their presence is no alert.",
        )
        .example("[impersonation]"),
        EXEMPTIONS,
        field(
            "surface",
            Kind::Section(&SURFACE),
            "off",
            "Ask from outside, without credentials, what of Odoo answers.",
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
            "One login. Exactly one of `login`, `login_glob` and `group` is needed.",
        )
        .alternative(),
        field(
            "login_glob",
            Kind::Text,
            "",
            "A pattern: `*` stands for any text, `?` for one character. Upper and lower case differ.",
        )
        .alternative(),
        field(
            "group",
            Kind::XmlId,
            "",
            "Everybody in this group, implied groups included.",
        )
        .alternative(),
        field(
            "user_type",
            Kind::Word(UserType::WORDS),
            "`internal` for a login or a pattern, any for a group",
            "Only users of this type. Visitors can sign up at a website with any login, so exempt portal users by login only where they cannot.",
        ),
        field(
            "reason",
            Kind::Word(&["kiosk", "service", "break_glass", "other"]),
            "required",
            "Why.",
        ),
        field(
            "expires",
            Kind::Date,
            "never",
            "The last day on which it holds, UTC. Afterwards it is a finding.",
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
        field("interval", Kind::Duration, "`1h`", "How often to ask."),
        field(
            "vantages",
            Kind::List(&Kind::Section(&VANTAGE)),
            "required",
            "From where to ask; at least one.",
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
            "The value of the label `vantage`. No two vantages of a target share one.",
        ),
        field(
            "url",
            Kind::Url,
            "the target's",
            "Where Odoo answers as seen from there.",
        ),
        field(
            "proxy",
            Kind::Url,
            "none",
            "A proxy that stands there. The target's own proxy is not used.",
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
            "What must not answer there. Only that is alerted on.",
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
            "Name the people concerned in the annotations of alerts.",
        ),
        field(
            "store_logins",
            Kind::Flag,
            "`false`",
            "Keep logins in the change log, beside user ids.",
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
            "Where clients and Prometheus reach the exporter, with a reverse proxy's path: `/sd` answers with it, and alerts link to pages and runbooks there. Links of pages are relative and need no setting.",
        ),
        field(
            "roles",
            Kind::Section(&WEB_ROLES),
            "",
            "What those who sign in may do; see docs/web.md.",
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
            "Who may read metrics: users of `--web.config.file`; `certificate:NAME`, a verified client certificate with this common name or subject alternative name, which then needs no password; `'*'`, everybody, also without signing in.",
        ),
        field(
            "read",
            Kind::List(&Kind::Text),
            "every user",
            "Who may read the pages and the API, without names of people.",
        ),
        field(
            "read_names",
            Kind::List(&Kind::Text),
            "`[]`",
            "Who may read names of people, too, and everything that `read` allows. Only who signs in: not `'*'`.",
        ),
    ],
};

pub(in crate::config) static METRICS: Section = Section {
    path: "metrics",
    fields: &[field(
        "disable",
        Kind::List(&Kind::Text),
        "`[]`",
        "Families that are not exported, by name or pattern: `odoo_api_key*`. What only they need is not asked of Odoo. The exporter's own (`odoo_mfa_exporter_...`) and `odoo_up` stay.",
    )],
};
