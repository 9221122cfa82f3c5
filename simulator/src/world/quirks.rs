//! Quirks of single builds or databases.

/// Departures of one build or database from its version's usual behavior.
#[derive(Debug, Clone, Copy)]
pub struct Quirks {
    /// 19.0: any domain on `totp_enabled`, `= False` too, gives the users who have it.
    pub totp_domain_broken: bool,
    /// Late 19, and 20 always: `totp_enabled` of other users is hidden without `base.group_erp_manager`, from reading and from
    /// searching.
    pub totp_hidden: bool,
    /// 14, and early builds of 15 and 16: `totp_enabled` cannot be searched, and a term on it is ignored.
    pub totp_unsearchable: bool,
    /// Late 19, and 20 always: a key without a scope opens nothing.
    pub null_scope_refused: bool,
    /// `auth_totp_mail` holds and obeys the policy: from 19 on, and in some releases of Odoo Online before. Else `auth_totp_mail_enforce`.
    pub policy_in_mail: bool,
    /// Some installed application lets internal users read the list of modules.
    pub modules_open: bool,
}

impl Quirks {
    /// Quirks of a version.
    pub(super) fn of(version: u8) -> Self {
        Self {
            totp_domain_broken: version == 19,
            totp_hidden: version >= 20,
            totp_unsearchable: version <= 14,
            null_scope_refused: version >= 20,
            policy_in_mail: version >= 19,
            modules_open: version >= 17,
        }
    }
}
