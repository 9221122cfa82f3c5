//! Models and fields of a version with its modules: the answer to `fields_get`, and the base of "unknown field".

use super::{companion, world::World};

/// A model that can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Model {
    Users,
    Groups,
    Keys,
    Devices,
    Passkeys,
    Modules,
    Parameters,
    Data,
    Companies,
    /// The contacts of users; other contacts are not simulated.
    Partners,
    /// The providers of `auth_oauth`.
    Providers,
    Websites,
    Networks,
    ClearTextKeys,
    Log,
    Settings,
    /// `mfa.auditor`, of the companion module.
    Companion,
}

impl Model {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Users => "res.users",
            Self::Groups => "res.groups",
            Self::Keys => "res.users.apikeys",
            Self::Devices => "auth_totp.device",
            Self::Passkeys => "auth.passkey.key",
            Self::Modules => "ir.module.module",
            Self::Parameters => "ir.config_parameter",
            Self::Data => "ir.model.data",
            Self::Companies => "res.company",
            Self::Partners => "res.partner",
            Self::Providers => "auth.oauth.provider",
            Self::Websites => "website",
            Self::Networks => "auth_totp.cidr",
            Self::ClearTextKeys => "auth.api.key",
            Self::Log => "res.users.log",
            Self::Settings => "res.config.settings",
            Self::Companion => "mfa.auditor",
        }
    }

    /// Its label, in error messages.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Users => "User",
            Self::Groups => "Access Groups",
            Self::Keys => "Users API Keys",
            Self::Devices => "Authentication Device",
            Self::Passkeys => "Passkey",
            Self::Modules => "Module",
            Self::Parameters => "System Parameter",
            Self::Data => "Model Data",
            Self::Companies => "Companies",
            Self::Partners => "Contact",
            Self::Providers => "OAuth2 provider",
            Self::Websites => "Website",
            Self::Networks => "Trusted network",
            Self::ClearTextKeys => "API Key",
            Self::Log => "Users Log",
            Self::Settings => "Config Settings",
            Self::Companion => "What odoo-mfa-exporter reads",
        }
    }

    /// The model of this name, if the database has it.
    pub(super) fn find(world: &World, name: &str) -> Option<Self> {
        const ALL: &[(Model, Option<&str>)] = &[
            (Model::Users, None),
            (Model::Groups, None),
            (Model::Keys, None),
            (Model::Devices, Some("auth_totp")),
            (Model::Passkeys, Some("auth_passkey")),
            (Model::Modules, None),
            (Model::Parameters, None),
            (Model::Data, None),
            (Model::Companies, None),
            (Model::Partners, None),
            (Model::Providers, Some("auth_oauth")),
            (Model::Websites, Some("website")),
            (Model::Networks, Some("auth_totp_ip_check")),
            (Model::ClearTextKeys, Some("auth_api_key")),
            (Model::Log, None),
            (Model::Settings, None),
            (Model::Companion, Some(companion::MODULE)),
        ];
        let (model, module) = ALL.iter().find(|(model, _)| model.name() == name)?;
        let there = module.is_none_or(|module| world.installed(module))
            && !(*model == Self::Devices && world.version <= 14);
        there.then_some(*model)
    }
}

/// Odoo's name of a field's type.
pub(super) type Type = &'static str;

/// One field.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) kind: Type,
    pub(super) relation: Option<Model>,
    pub(super) store: bool,
    pub(super) searchable: bool,
    /// No user may read it, with any rights.
    pub(super) forbidden: bool,
}

impl Field {
    pub(super) fn groupable(&self) -> bool {
        self.store && self.kind != "one2many"
    }

    pub(super) fn sortable(&self) -> bool {
        self.store && !matches!(self.kind, "one2many" | "many2many")
    }
}

const fn plain(name: &'static str, kind: Type) -> Field {
    Field {
        name,
        kind,
        relation: None,
        store: true,
        searchable: true,
        forbidden: false,
    }
}

const fn link(name: &'static str, kind: Type, relation: Model) -> Field {
    Field {
        name,
        kind,
        relation: Some(relation),
        store: true,
        searchable: true,
        forbidden: false,
    }
}

const fn computed(name: &'static str, kind: Type) -> Field {
    Field {
        name,
        kind,
        relation: None,
        store: false,
        searchable: true,
        forbidden: false,
    }
}

const ID: Field = plain("id", "integer");
const CREATED: Field = plain("create_date", "datetime");
const DISPLAY: Field = Field {
    name: "display_name",
    kind: "char",
    relation: None,
    store: false,
    searchable: false,
    forbidden: false,
};

/// The fields of a model.
#[expect(clippy::too_many_lines, reason = "one arm for each model")]
pub(super) fn of(world: &World, model: Model) -> Vec<Field> {
    let version = world.version;
    let mut fields = vec![ID, DISPLAY];
    let more: &[Field] = match model {
        Model::Users => {
            fields.extend(user_fields(world));
            &[]
        }
        Model::Groups => {
            fields.extend([
                plain("name", "char"),
                computed("full_name", "char"),
                link("implied_ids", "many2many", Model::Groups),
            ]);
            if version >= 19 {
                fields.extend([
                    link("user_ids", "many2many", Model::Users),
                    Field {
                        store: false,
                        ..link("all_user_ids", "many2many", Model::Users)
                    },
                ]);
                fields.push(Field {
                    store: false,
                    ..link("all_implied_ids", "many2many", Model::Groups)
                });
            } else {
                fields.push(link("users", "many2many", Model::Users));
            }
            &[]
        }
        Model::Keys | Model::Devices => {
            fields.extend([
                plain("name", "char"),
                link("user_id", "many2one", Model::Users),
                plain("scope", "char"),
                CREATED,
            ]);
            if version >= 18 {
                fields.push(plain("expiration_date", "datetime"));
            }
            &[]
        }
        Model::Passkeys => &[
            plain("name", "char"),
            link("create_uid", "many2one", Model::Users),
            CREATED,
            plain("write_date", "datetime"),
        ],
        Model::Modules => &[
            plain("name", "char"),
            plain("state", "selection"),
            plain("latest_version", "char"),
            computed("installed_version", "char"),
        ],
        Model::Parameters => &[plain("key", "char"), plain("value", "text")],
        Model::Data => &[
            plain("module", "char"),
            plain("name", "char"),
            plain("model", "char"),
            plain("res_id", "many2one_reference"),
        ],
        Model::Companies => {
            fields.push(plain("name", "char"));
            if version >= 16 {
                fields.push(plain("active", "boolean"));
            }
            fields.push(link("user_ids", "many2many", Model::Users));
            &[]
        }
        Model::Partners => &[
            plain("name", "char"),
            plain("active", "boolean"),
            link("user_ids", "one2many", Model::Users),
        ],
        Model::Providers => &[plain("name", "char"), plain("enabled", "boolean")],
        Model::Websites => &[
            plain("name", "char"),
            link("user_id", "many2one", Model::Users),
            link("company_id", "many2one", Model::Companies),
        ],
        Model::Networks => &[
            plain("cidr", "char"),
            link("user_ids", "many2many", Model::Users),
        ],
        Model::ClearTextKeys => &[
            plain("name", "char"),
            link("user_id", "many2one", Model::Users),
            Field {
                forbidden: true,
                ..plain("key", "char")
            },
        ],
        Model::Log => &[link("create_uid", "many2one", Model::Users), CREATED],
        Model::Companion => &[],
        Model::Settings => {
            fields.extend(
                SETTINGS
                    .iter()
                    .filter(|setting| setting.is_there(world))
                    .map(|setting| plain(setting.field, setting.kind)),
            );
            &[]
        }
    };
    fields.extend_from_slice(more);
    fields
}

/// A field of `res.config.settings`.
pub(super) struct Setting {
    pub(super) field: &'static str,
    pub(super) kind: Type,
    /// Storage of its value.
    pub(super) parameter: &'static str,
    /// `None`: the module of the policy.
    module: Option<&'static str>,
}

impl Setting {
    /// A setting comes and goes with its module; its parameter stays.
    pub(super) fn is_there(&self, world: &World) -> bool {
        world.installed(self.module.unwrap_or(world.policy_module()))
    }
}

/// The settings that a poll may want to know.
pub(super) const SETTINGS: [Setting; 3] = [
    Setting {
        field: "auth_totp_policy",
        kind: "selection",
        parameter: "auth_totp.policy",
        module: None,
    },
    Setting {
        field: "auth_totp_enforce",
        kind: "boolean",
        parameter: "auth_totp.policy",
        module: None,
    },
    Setting {
        field: "restrict_impersonate_admin_settings",
        kind: "boolean",
        parameter: "impersonate_login.restrict_impersonate_admin_settings",
        module: Some("impersonate_login"),
    },
];

/// One field of a model.
pub(super) fn find(world: &World, model: Model, name: &str) -> Option<Field> {
    of(world, model)
        .into_iter()
        .find(|field| field.name == name)
}

#[expect(
    clippy::too_many_lines,
    reason = "one list, with what each version and module adds"
)]
fn user_fields(world: &World) -> Vec<Field> {
    let version = world.version;
    let mut fields = vec![
        plain("login", "char"),
        plain("name", "char"),
        plain("email", "char"),
        plain("active", "boolean"),
        plain("share", "boolean"),
        CREATED,
        plain("write_date", "datetime"),
        computed("login_date", "datetime"),
        link("log_ids", "one2many", Model::Log),
        link("company_id", "many2one", Model::Companies),
        link("company_ids", "many2many", Model::Companies),
        Field {
            searchable: false,
            ..computed("companies_count", "integer")
        },
        link("api_key_ids", "one2many", Model::Keys),
    ];
    if version >= 19 {
        fields.extend([
            link("group_ids", "many2many", Model::Groups),
            Field {
                store: false,
                ..link("all_group_ids", "many2many", Model::Groups)
            },
        ]);
    } else {
        fields.push(link("groups_id", "many2many", Model::Groups));
    }
    if world.installed("auth_totp") {
        fields.push(Field {
            searchable: !world.quirks.totp_unsearchable,
            ..computed("totp_enabled", "boolean")
        });
        fields.push(Field {
            forbidden: true,
            ..plain("totp_secret", "char")
        });
        fields.push(link(
            "totp_trusted_device_ids",
            "one2many",
            if version >= 15 {
                Model::Devices
            } else {
                Model::Keys
            },
        ));
    }
    if world.installed("auth_passkey") {
        fields.push(link("auth_passkey_key_ids", "one2many", Model::Passkeys));
    }
    if world.installed("auth_oauth") {
        fields.push(plain("oauth_uid", "char"));
        fields.push(link("oauth_provider_id", "many2one", Model::Providers));
    }
    if world.installed("auth_saml") {
        // The rows of the provider are never asked for, only whether there are any.
        fields.push(link("saml_ids", "one2many", Model::Users));
    }
    if world.installed("website") {
        fields.push(link("website_id", "many2one", Model::Websites));
    }
    if world.installed(companion::MODULE) {
        fields.push(Field {
            searchable: false,
            ..computed(companion::MARKER, "boolean")
        });
    }
    if world.installed("password_security") {
        fields.push(plain("password_write_date", "datetime"));
    }
    if world.installed("impersonate_login") {
        fields.push(plain("impersonated_user_id", "integer"));
    }
    fields
}
