//! The closed sets of words that are label values and configuration values alike: one enum each, declared once.

/// A word that belongs to none of a closed set's values.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not one of {}", .expected.join(", "))]
pub struct UnknownWord {
    /// All words of the set, in their order.
    pub expected: Vec<&'static str>,
}

macro_rules! vocabulary {
    ($(#[$meta:meta])* $name:ident { $($(#[$variant_meta:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$variant_meta])* $variant,)+
        }

        impl $name {
            /// Every value, in the order in which they are exported.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The words of [`ALL`](Self::ALL).
            #[allow(dead_code, reason = "not every set is one of the configuration's")]
            pub const WORDS: &'static [&'static str] = &[$($word,)+];

            /// The word, as it stands in label values and in the configuration.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let word = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                word.parse().map_err(serde::de::Error::custom)
            }
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({"type": "string", "enum": Self::WORDS})
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::domain::vocabulary::UnknownWord;

            fn from_str(word: &str) -> Result<Self, Self::Err> {
                match word {
                    $($word => Ok(Self::$variant),)+
                    _ => Err($crate::domain::vocabulary::UnknownWord { expected: vec![$($word,)+] }),
                }
            }
        }
    };
}

pub(crate) use vocabulary;

vocabulary! {
    /// Type of a user, by membership in groups (never by `share`).
    UserType {
        /// In `base.group_user`.
        Internal = "internal",
        /// In `base.group_portal`.
        Portal = "portal",
        /// In `base.group_public`, but not one of Odoo's pseudo users.
        Public = "public",
        /// In no type group.
        None = "none",
    }
}

vocabulary! {
    /// A factor that the configuration can accept.
    Factor {
        /// An authenticator application.
        Totp = "totp",
        /// A passkey. In Odoo it does not close the password login.
        Passkey = "passkey",
        /// Covered by Odoo's e-mail code policy in force.
        EmailPolicy = "email_policy",
        /// Linked to an identity provider.
        Sso = "sso",
    }
}

vocabulary! {
    /// A part of Odoo's data that the polling account can read completely, or not.
    Capability {
        /// All users, their types and states.
        Users = "users",
        /// Users which users enrolled TOTP.
        Totp = "totp",
        /// Passkeys of all users.
        Passkeys = "passkeys",
        /// API keys of all users.
        ApiKeys = "api_keys",
        /// Trusted devices of all users.
        TrustedDevices = "trusted_devices",
        /// The e-mail code policy's parameter.
        Policy = "policy",
        /// Installed modules.
        Modules = "modules",
        /// Members of groups, by XML id.
        Groups = "groups",
        /// Last logins of users.
        Logins = "logins",
    }
}

vocabulary! {
    /// Reason of an exemption from the second factor.
    ExemptReason {
        /// A shared terminal that cannot hold an authenticator.
        Kiosk = "kiosk",
        /// An account that a program uses.
        Service = "service",
        /// The account for emergencies, which is otherwise unused.
        BreakGlass = "break_glass",
        /// Anything else.
        Other = "other",
    }
}

vocabulary! {
    /// An endpoint that Odoo may answer without credentials.
    Endpoint {
        /// The services `common`, `object` and `db` below `/xmlrpc` and `/xmlrpc/2`.
        Xmlrpc = "xmlrpc",
        /// `/jsonrpc`
        Jsonrpc = "jsonrpc",
        /// `/json/2`, from Odoo 19 on.
        Json2 = "json2",
        /// `/web/database/manager`
        DatabaseManager = "database_manager",
        /// `/web/database/list`, and the service `db` of XML-RPC and JSON-RPC.
        DatabaseList = "database_list",
    }
}

vocabulary! {
    /// The API that a poll speaks.
    Api {
        /// `/json/2`, from Odoo 19 on.
        Json2 = "json2",
        /// `/jsonrpc`
        Jsonrpc = "jsonrpc",
    }
}

vocabulary! {
    /// Why a poll failed.
    Reason {
        /// Refused, reset, closed without an answer, or no such host.
        Connect = "connect",
        /// The certificate or the handshake.
        Tls = "tls",
        /// Longer than the target's timeout.
        Timeout = "timeout",
        /// An answer that is not Odoo's: a proxy's 403 or 429, HTML, a redirect.
        HttpStatus = "http_status",
        /// The key is wrong, expired, revoked, of a wrong scope, or of an archived account.
        Auth = "auth",
        /// The account may not see all users.
        Access = "access",
        /// No such database.
        Database = "database",
        /// Odoo or PostgreSQL is starting, stopping, overloaded, or being upgraded.
        Maintenance = "maintenance",
        /// An answer that does not mean what it should.
        Protocol = "protocol",
        /// An answer larger than any that is expected.
        TooLarge = "too_large",
        /// A defect of this program.
        Internal = "internal",
    }
}

vocabulary! {
    /// The types of user for which a second factor is mandatory, by `auth_totp.policy`.
    PolicyScope {
        /// Internal users.
        EmployeeRequired = "employee_required",
        /// All users.
        AllRequired = "all_required",
    }
}

vocabulary! {
    /// A bypass of the second factor.
    Bypass {
        /// Networks that waive the second factor.
        TrustedNetwork = "trusted_network",
        /// One password that opens every account.
        MasterPassword = "master_password",
        /// Administrators who act as other users.
        Impersonation = "impersonation",
    }
}

vocabulary! {
    /// The modules that change the picture.
    Module {
        /// Odoo's TOTP.
        AuthTotp = "auth_totp",
        /// Its invitations by e-mail; from 19 on the e-mail code policy too.
        AuthTotpMail = "auth_totp_mail",
        /// The e-mail code policy, up to 18.
        AuthTotpMailEnforce = "auth_totp_mail_enforce",
        /// TOTP for portal users.
        AuthTotpPortal = "auth_totp_portal",
        /// OCA: makes internal users enroll at login.
        AuthTotpEnforce = "auth_totp_enforce",
        /// OCA: trusted networks skip the second factor.
        AuthTotpIpCheck = "auth_totp_ip_check",
        /// Odoo's passkeys.
        AuthPasskey = "auth_passkey",
        /// Passkeys for portal users.
        AuthPasskeyPortal = "auth_passkey_portal",
        /// OCA: a master password for every account.
        AuthAdminPasskey = "auth_admin_passkey",
        /// OCA: API keys of integrations, in clear text.
        AuthApiKey = "auth_api_key",
        /// LDAP passwords.
        AuthLdap = "auth_ldap",
        /// OAuth sign-in.
        AuthOauth = "auth_oauth",
        /// OCA: OpenID Connect sign-in.
        AuthOidc = "auth_oidc",
        /// OCA: SAML sign-in.
        AuthSaml = "auth_saml",
        /// A minimum password length.
        AuthPasswordPolicy = "auth_password_policy",
        /// Sessions that end by inactivity.
        AuthTimeout = "auth_timeout",
        /// OCA: administrators act as other users.
        ImpersonateLogin = "impersonate_login",
        /// OCA: password rules.
        PasswordSecurity = "password_security",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_word_parses_back_and_a_stranger_names_the_set() {
        for capability in Capability::ALL {
            assert_eq!(capability.as_str().parse(), Ok(*capability));
        }
        let error = "sms".parse::<Factor>().expect_err("sms is no factor");
        assert_eq!(
            error.to_string(),
            "not one of totp, passkey, email_policy, sso"
        );
    }
}
