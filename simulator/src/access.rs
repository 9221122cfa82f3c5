//! Access: access rights (a refusal) and record rules (rows that are silently hidden).

use super::{
    companion::GROUP as COMPANION_GROUP,
    fail::Fail,
    fields::Model,
    world::{AUDITOR, GroupSet, Hide, Kind, Person, World},
};

/// A world seen by one account, with the context of one call.
#[derive(Debug, Clone)]
pub(super) struct View<'w> {
    pub(super) world: &'w World,
    pub(super) uid: u32,
    /// The companies that the call works in, as bits.
    pub(super) companies: u8,
    /// Archived rows are left out of searches that do not name `active`.
    pub(super) active_test: bool,
    groups: &'w GroupSet,
}

impl<'w> View<'w> {
    pub(super) fn new(
        world: &'w World,
        user: &Person,
        context: &serde_json::Map<String, serde_json::Value>,
    ) -> Result<Self, Fail> {
        let allowed = user.companies & world.active_companies();
        let mut companies = world.cached_rules.get(&user.id).copied().unwrap_or(allowed);
        if let Some(wanted) = context
            .get("allowed_company_ids")
            .and_then(serde_json::Value::as_array)
            .filter(|list| !list.is_empty())
        {
            let bits = wanted
                .iter()
                .filter_map(serde_json::Value::as_u64)
                .filter(|id| (1..=8).contains(id))
                .fold(0, |bits, id| bits | 1 << (id - 1));
            if bits & !allowed != 0
                || wanted.len() != usize::try_from(u8::count_ones(bits)).unwrap_or(0)
            {
                return Err(Fail::Access(
                    "Access to unauthorized or invalid companies.".into(),
                ));
            }
            companies = bits;
        }
        let active_test = context
            .get("active_test")
            .and_then(serde_json::Value::as_bool)
            .unwrap_or(true);
        Ok(Self {
            world,
            uid: user.id,
            companies,
            active_test,
            groups: world.set(user),
        })
    }

    pub(super) fn in_group(&self, xml_id: &str) -> bool {
        self.world
            .groups
            .id(xml_id)
            .is_some_and(|id| self.groups.all.contains(&id))
    }

    pub(super) fn is_system(&self) -> bool {
        self.in_group("base.group_system")
    }

    pub(super) fn is_erp_manager(&self) -> bool {
        self.is_system() || self.in_group("base.group_erp_manager")
    }

    pub(super) fn is_auditor(&self) -> bool {
        self.in_group(AUDITOR) || self.in_group(COMPANION_GROUP)
    }

    pub(super) fn kind(&self) -> Kind {
        self.groups.kind
    }

    /// May this account read the model at all?
    pub(super) fn may_read(&self, model: Model) -> bool {
        let version = self.world.version;
        let internal = self.kind() == Kind::Internal || self.is_erp_manager();
        match model {
            Model::Users | Model::Companies | Model::Websites => self.kind() != Kind::None,
            Model::Keys | Model::Devices => internal || self.kind() == Kind::Portal,
            Model::Passkeys => {
                internal
                    || (self.kind() == Kind::Portal && self.world.installed("auth_passkey_portal"))
            }
            Model::Groups | Model::Settings | Model::Partners => internal,
            Model::Modules => self.is_system() || (self.world.quirks.modules_open && internal),
            Model::Log => self.is_system() || self.is_auditor() || (version <= 16 && internal),
            Model::Data => self.is_erp_manager() || (version <= 14 && internal),
            Model::Companion => true,
            Model::Parameters | Model::Networks | Model::ClearTextKeys | Model::Providers => {
                self.is_system()
            }
        }
    }

    pub(super) fn check_read(&self, model: Model) -> Result<(), Fail> {
        if self.may_read(model) {
            Ok(())
        } else {
            Err(self.refusal(model))
        }
    }

    /// The message of Odoo when an account has no right on a model.
    pub(super) fn refusal(&self, model: Model) -> Fail {
        let label = |xml_id: &str| {
            let group = self
                .world
                .groups
                .list
                .iter()
                .find(|group| group.xml_id() == xml_id);
            group.map_or_else(String::new, |group| {
                if self.world.version >= 19 {
                    group.label.clone()
                } else {
                    group.label.replace(" / ", "/")
                }
            })
        };
        let mut groups: Vec<String> = match model {
            Model::Groups => vec!["base.group_erp_manager", AUDITOR, "base.group_user"],
            Model::Passkeys => vec!["base.group_erp_manager", "base.group_user", AUDITOR],
            Model::Modules if self.world.quirks.modules_open => {
                vec!["base.group_system", "base.group_user"]
            }
            Model::Data => vec!["base.group_erp_manager"],
            Model::Log => vec![AUDITOR, "base.group_system"],
            Model::Users | Model::Companies | Model::Websites | Model::Keys | Model::Devices => {
                vec!["base.group_portal", "base.group_user"]
            }
            _ => vec!["base.group_system"],
        }
        .into_iter()
        .map(label)
        .filter(|label| !label.is_empty())
        .collect();
        groups.sort();
        Fail::Access(format!(
            "You are not allowed to access '{}' ({}) records.\n\nThis operation is allowed for the following groups:\n\t- {}\n\nContact your administrator to request access if necessary.",
            model.label(),
            model.name(),
            groups.join("\n\t- ")
        ))
    }

    /// Does a search find the user? The record rules on users and their contacts decide, and what modules add.
    pub(super) fn sees_user(&self, person: &Person) -> bool {
        self.user_rules(person)
            && self.sees_contact(person)
            && !self.world.hidden_by(person.id, Hide::SearchOverride as u8)
    }

    /// May the user be read by id? Up to 16 the rules on contacts are asked only for what is stored in the table: pass `stored`.
    pub(super) fn may_read_user(&self, person: &Person, stored: bool) -> bool {
        self.user_rules(person)
            && ((self.world.version <= 16 && !stored) || self.sees_contact(person))
    }

    /// The record rules on `res.partner`, for the contact of a user.
    pub(super) fn sees_contact(&self, person: &Person) -> bool {
        let mut ways = Hide::ContactRule as u8;
        if self.kind() == Kind::Internal {
            ways |= Hide::ContactGroupRule as u8;
        }
        if self.world.version <= 16 && !self.in_group("base.group_private_addresses") {
            ways |= Hide::PrivateContact as u8;
        }
        !self.world.hidden_by(person.id, ways)
    }

    /// The record rules on `res.users` itself.
    fn user_rules(&self, person: &Person) -> bool {
        let mut ways = Hide::UserRule as u8;
        if self.kind() == Kind::Internal {
            ways |= Hide::UserGroupRule as u8;
        }
        if self.world.hidden_by(person.id, ways) {
            return false;
        }
        match self.kind() {
            Kind::Internal => {
                self.world.set(person).kind == Kind::Internal
                    || person.companies & self.companies != 0
            }
            _ if self.is_erp_manager() => true,
            _ => person.id == self.uid,
        }
    }

    /// Does the rule on keys, devices or passkeys let this account see those of others?
    pub(super) fn sees_all(&self, model: Model) -> bool {
        self.is_system() || self.is_auditor() || (model == Model::Passkeys && self.is_erp_manager())
    }

    /// The refusal of reading rows that a record rule hides, by id.
    ///
    /// 14 names the records to internal users: a client must not pass that on.
    pub(super) fn rule_refusal(&self, model: Model, records: &str) -> Fail {
        let name = self
            .world
            .person(self.uid)
            .map_or_else(String::new, |person| self.world.name(person));
        Fail::Access(match self.world.version {
            ..=14 if self.kind() == Kind::Internal => format!(
                "Due to security restrictions, you are not allowed to access '{}' ({}) records.\n\nRecords: {records}\nUser: {name} (id={})\n\nThis restriction is due to the following rules:\n- Hidden records\n\nContact your administrator to request access if necessary.",
                model.label(),
                model.name(),
                self.uid
            ),
            ..=16 => format!(
                "Due to security restrictions, you are not allowed to access '{0}' ({1}) records.\n\nContact your administrator to request access if necessary.",
                model.label(),
                model.name()
            ),
            _ => format!(
                "Uh-oh! Looks like you have stumbled upon some top-secret records.\n\nSorry, {name} (id={}) doesn't have 'read' access to:\n- {} ({})\n\nIf you really, really need access, perhaps you can win over your friendly administrator with a batch of freshly baked cookies.",
                self.uid,
                model.label(),
                model.name()
            ),
        })
    }

    /// The refusal of a field that no user may read.
    pub(super) fn forbidden_field(&self, model: Model, field: &str) -> Fail {
        let (label, name, uid) = (model.label(), model.name(), self.uid);
        Fail::Access(match self.world.version {
            ..=17 => format!(
                "The requested operation can not be completed due to security restrictions.\n\nDocument type: {label} ({name})\nOperation: read\nUser: {uid}\nFields:\n- {field} (always forbidden)"
            ),
            18 => format!(
                "You do not have enough rights to access the fields \"{field}\" on {label} ({name}). Please contact your system administrator.\n\nOperation: read\nUser: {uid}\nFields:\n- {field} (always forbidden)"
            ),
            _ => format!(
                "You do not have enough rights to access the field \"{field}\" on {label} ({name}). Please contact your system administrator.\n\nOperation: read\nUser: {uid}\nGroups: always forbidden"
            ),
        })
    }
}
