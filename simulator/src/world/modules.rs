//! The modules that a new database knows, and which of them are installed.

use super::Recipe;

/// A module and whether it is installed.
#[derive(Debug, Clone)]
pub(crate) struct Module {
    pub(crate) id: u32,
    pub(crate) name: String,
    pub(crate) installed: bool,
}

/// Modules of a usual installation, and the version in which they begin.
const USUAL: &[(&str, u8)] = &[
    ("base", 14),
    ("web", 14),
    ("mail", 14),
    ("auth_signup", 14),
    ("auth_totp", 14),
    ("auth_totp_portal", 14),
    ("auth_totp_mail", 15),
    ("auth_passkey", 18),
    ("auth_passkey_portal", 19),
    ("rpc", 19),
    ("account", 14),
    ("hr", 14),
    ("sales_team", 14),
    ("purchase", 14),
    ("stock", 14),
];

/// Modules that are there to be installed.
const AVAILABLE: &[(&str, u8, u8)] = &[
    ("auth_totp_mail_enforce", 15, 18),
    ("auth_ldap", 14, 99),
    ("auth_oauth", 14, 99),
    ("auth_password_policy", 14, 99),
    ("auth_timeout", 19, 99),
    ("website", 14, 99),
    ("project", 14, 99),
    ("mrp", 14, 99),
];

/// The modules of a recipe.
pub(super) fn of(recipe: &Recipe) -> Vec<Module> {
    let version = recipe.version;
    let mut names: Vec<(String, bool)> = USUAL
        .iter()
        .filter(|(_, first)| version >= *first)
        .map(|(name, _)| ((*name).into(), !recipe.without.contains(name)))
        .collect();
    names.extend(
        AVAILABLE
            .iter()
            .filter(|(_, first, last)| (*first..=*last).contains(&version))
            .map(|(name, ..)| ((*name).into(), false)),
    );
    let mut wanted = recipe.modules.clone();
    if recipe.websites > 0 {
        wanted.push("website");
    }
    if recipe.oauth > 0.0 {
        wanted.push("auth_oauth");
    }
    if recipe.policy.is_some() && version < 19 {
        wanted.push("auth_totp_mail_enforce");
    }
    for name in wanted {
        match names.iter_mut().find(|(it, _)| it == name) {
            Some(found) => found.1 = true,
            None => names.push((name.into(), true)),
        }
    }
    names.sort();
    names
        .into_iter()
        .zip(1..)
        .map(|((name, installed), id)| Module {
            id,
            name,
            installed,
        })
        .collect()
}
