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

            /// The word, as it stands in label values and in the configuration.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
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
    /// What kind of account somebody has, by group membership (never by `share`).
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
    /// What may be accepted as a second factor, by configuration.
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
    /// What the polling account and the Odoo version can give completely, or not.
    Capability {
        /// All users, their types and states.
        Users = "users",
        /// Who enrolled TOTP.
        Totp = "totp",
        /// Everybody's passkeys.
        Passkeys = "passkeys",
        /// Everybody's API keys.
        ApiKeys = "api_keys",
        /// Everybody's trusted devices.
        TrustedDevices = "trusted_devices",
        /// The e-mail code policy's parameter.
        Policy = "policy",
        /// Which modules are installed.
        Modules = "modules",
        /// Members of groups, by XML id.
        Groups = "groups",
        /// When people last logged in.
        Logins = "logins",
    }
}

vocabulary! {
    /// Why somebody is exempt from the second factor.
    ExemptReason {
        /// A shared terminal that cannot hold an authenticator.
        Kiosk = "kiosk",
        /// An account that a program uses.
        Service = "service",
        /// Anything else.
        Other = "other",
    }
}

vocabulary! {
    /// What Odoo may answer without credentials.
    Endpoint {
        /// `/xmlrpc/2/common`
        Xmlrpc = "xmlrpc",
        /// `/jsonrpc`
        Jsonrpc = "jsonrpc",
        /// `/json/2`, from Odoo 19 on.
        Json2 = "json2",
        /// `/web/database/manager`
        DatabaseManager = "database_manager",
        /// `/web/database/list`
        DatabaseList = "database_list",
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
