//! A user: the row, and the truth about the user as a test sees it.

use super::{super::clock::Time, Kind, World};

/// A user's row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Person {
    pub(crate) id: u32,
    pub(crate) created: Time,
    /// Date of the log row with the highest id: what reading `login_date` gives. 0: no rows.
    pub(crate) last_row: Time,
    /// Date of an earlier row, which an import may have made the later one. 0: none.
    pub(crate) other_row: Time,
    pub(crate) set: u16,
    /// Number of the main company, from 1.
    pub(crate) company: u8,
    /// Bit n: may work in company n + 1.
    pub(crate) companies: u8,
    pub(crate) flags: u16,
}

pub(crate) const ACTIVE: u16 = 1;
/// A `totp_secret` that is not empty.
pub(crate) const TOTP: u16 = 2;
pub(crate) const OAUTH: u16 = 4;
pub(crate) const SAML: u16 = 8;
/// `base.default_user`, `base.public_user` or `base.template_portal_user_id`.
pub(crate) const WELL_KNOWN: u16 = 16;
/// The derived login is a customer's.
pub(super) const CUSTOMER: u16 = 32;
/// `base.user_root`.
pub(crate) const ROOT: u16 = 64;
/// `totp_secret` is the empty text.
pub(crate) const EMPTY_SECRET: u16 = 128;
/// TOTP is an add-on's own, without a `totp_secret`.
pub(crate) const NO_SECRET: u16 = 256;

impl Person {
    pub(crate) fn has(&self, flag: u16) -> bool {
        self.flags & flag != 0
    }

    pub(super) fn set_flag(&mut self, flag: u16, on: bool) {
        if on {
            self.flags |= flag;
        } else {
            self.flags &= !flag;
        }
    }

    /// The newest login by date; 0: never.
    pub(crate) fn last_login(&self) -> Time {
        self.last_row.max(self.other_row)
    }
}

/// A user as a test sees it: the truth, regardless of what an account can read.
#[derive(Debug, Clone)]
pub struct PersonView<'w> {
    world: &'w World,
    person: Person,
}

impl<'w> PersonView<'w> {
    pub(super) fn new(world: &'w World, person: Person) -> Self {
        Self { world, person }
    }

    /// The user id.
    pub fn id(&self) -> u32 {
        self.person.id
    }
    /// The login.
    pub fn login(&self) -> String {
        self.world.login(&self.person)
    }
    /// The name.
    pub fn name(&self) -> String {
        self.world.name(&self.person)
    }
    /// By group membership.
    pub fn kind(&self) -> Kind {
        self.world.set(&self.person).kind
    }
    /// Not archived.
    pub fn active(&self) -> bool {
        self.person.has(ACTIVE)
    }
    /// Not a person: while archived, `__system__`, `default` and `portaltemplate`; and a public user, of a website too, that is archived
    /// and neither internal nor a portal user.
    pub fn pseudo(&self) -> bool {
        self.world.is_pseudo(&self.person)
    }
    /// TOTP is enabled; an empty secret is none.
    pub fn totp(&self) -> bool {
        self.world.installed("auth_totp") && self.person.has(TOTP)
    }
    /// The number of passkeys.
    pub fn passkeys(&self) -> usize {
        self.world
            .passkeys()
            .filter(|key| key.owner == self.person.id)
            .count()
    }
    /// Linked to an OAuth provider that is enabled.
    pub fn oauth(&self) -> bool {
        self.world.installed("auth_oauth") && self.world.logs_in_by_oauth(&self.person)
    }
    /// Linked to a SAML provider.
    pub fn saml(&self) -> bool {
        self.world.installed("auth_saml") && self.person.has(SAML)
    }
    /// Creation time of the account.
    pub fn created(&self) -> Time {
        self.person.created
    }
    /// The newest login by date.
    pub fn last_login(&self) -> Option<Time> {
        Some(self.person.last_login()).filter(|time| *time != 0)
    }
    /// Number of the main company, from 1.
    pub fn company(&self) -> u8 {
        self.person.company
    }
    /// In this group, implied ones included.
    pub fn in_group(&self, xml_id: &str) -> bool {
        self.world
            .groups
            .id(xml_id)
            .is_some_and(|id| self.world.set(&self.person).all.contains(&id))
    }
}
