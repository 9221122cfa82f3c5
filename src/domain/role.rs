//! Privileged roles: names for sets of Odoo groups.

/// The role whose people administer the server: the one that a lost phone can lock out.
pub const SETTINGS: &str = "settings";
