//! Privileged roles: the groups, by XML id, that make a user privileged.

use std::collections::BTreeMap;

/// An XML id, `module.name`. It identifies a group in every database, unlike its number or its translated name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct XmlId(String);

/// A text that is not `module.name`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an XML id")]
pub struct InvalidXmlId;

impl XmlId {
    /// The whole id, such as `base.group_system`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part before the dot.
    pub fn module(&self) -> &str {
        self.0.split_once('.').map_or("", |(module, _)| module)
    }

    /// The part behind the dot.
    pub fn name(&self) -> &str {
        self.0.split_once('.').map_or("", |(_, name)| name)
    }
}

impl std::fmt::Display for XmlId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::str::FromStr for XmlId {
    type Err = InvalidXmlId;

    fn from_str(text: &str) -> Result<Self, InvalidXmlId> {
        let word = |part: &str, extra: &str| {
            !part.is_empty()
                && part
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || extra.contains(c))
        };
        match text.split_once('.') {
            Some((module, name)) if word(module, "_") && word(name, "_-") => {
                Ok(Self(text.to_owned()))
            }
            _ => Err(InvalidXmlId),
        }
    }
}

/// Roles by name, in the order of their names; each with the groups of its users, never none.
///
/// Implied groups count, and a group that does not exist in a database adds no users.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roles(BTreeMap<String, Vec<XmlId>>);

impl Roles {
    /// Sets the groups of one role, replacing those it had; no groups remove the role.
    pub fn set(&mut self, role: impl Into<String>, groups: Vec<XmlId>) {
        let role = role.into();
        if groups.is_empty() {
            self.0.remove(&role);
        } else {
            self.0.insert(role, groups);
        }
    }

    /// Returns true if there is a role of that name.
    pub fn contains(&self, role: &str) -> bool {
        self.0.contains_key(role)
    }

    /// Each role with its groups.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[XmlId])> {
        self.0
            .iter()
            .map(|(role, groups)| (role.as_str(), groups.as_slice()))
    }

    /// Returns true if a group is one of those of a default role.
    pub fn is_of_default_role(xml_id: &str) -> bool {
        DEFAULT_ROLES
            .iter()
            .any(|(_, groups)| groups.contains(&xml_id))
    }

    /// Of everything that makes a role: it stays the same over restarts.
    pub fn fingerprint(&self) -> u64 {
        let text: Vec<String> = self
            .iter()
            .map(|(role, groups)| {
                let groups: Vec<&str> = groups.iter().map(XmlId::as_str).collect();
                format!("{role}={}", groups.join(","))
            })
            .collect();
        super::fnv1a(text.join("\n").as_bytes())
    }

    /// Number of roles.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns true if there is no role.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Default for Roles {
    /// The roles of a stock Odoo. `base.group_allow_export` is none: up to Odoo 18 nearly every new user has it.
    fn default() -> Self {
        Self(
            DEFAULT_ROLES
                .iter()
                .map(|(role, groups)| {
                    (
                        (*role).to_owned(),
                        groups
                            .iter()
                            .map(|group| XmlId((*group).to_owned()))
                            .collect(),
                    )
                })
                .collect(),
        )
    }
}

const DEFAULT_ROLES: &[(&str, &[&str])] = &[
    ("settings", &["base.group_system"]),
    ("access_rights", &["base.group_erp_manager"]),
    (
        "accounting",
        &[
            "account.group_account_manager",
            "account.group_account_user",
        ],
    ),
    (
        "hr",
        &[
            "hr.group_hr_manager",
            "hr.group_hr_user",
            "hr_payroll.group_hr_payroll_manager",
            "hr_payroll.group_hr_payroll_user",
        ],
    ),
    ("sales", &["sales_team.group_sale_manager"]),
    ("purchase", &["purchase.group_purchase_manager"]),
    ("stock", &["stock.group_stock_manager"]),
    ("website", &["website.group_website_designer"]),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_groups_are_xml_ids_and_nothing_else_is_taken_for_one() {
        for (_, groups) in Roles::default().iter() {
            for group in groups {
                assert_eq!(group.as_str().parse().as_ref(), Ok(group));
            }
        }
        for text in [
            "",
            "group_system",
            ".group_system",
            "base.",
            "base.group.system",
            "base group.system",
            "bäse.x",
        ] {
            assert_eq!(text.parse::<XmlId>(), Err(InvalidXmlId), "{text}");
        }
        let id: XmlId = "base.group_system".parse().expect("an XML id");
        assert_eq!((id.module(), id.name()), ("base", "group_system"));
    }
}
