//! Groups: who implies whom, and interned sets of them, so that a person costs two bytes however many groups they are in.

use super::Kind;

/// A group and what it implies.
#[derive(Debug, Clone)]
pub(in crate::demo) struct Group {
    pub(in crate::demo) id: u32,
    /// The module that defines it.
    pub(in crate::demo) module: String,
    /// Its name within the module.
    pub(in crate::demo) name: String,
    /// What people see, with its category.
    pub(in crate::demo) label: String,
    /// Ids of the groups that it implies directly.
    pub(in crate::demo) implied: Vec<u32>,
}

impl Group {
    pub(in crate::demo) fn xml_id(&self) -> String {
        format!("{}.{}", self.module, self.name)
    }
}

/// One combination of groups that somebody has.
#[derive(Debug, Clone)]
pub(in crate::demo) struct GroupSet {
    /// As granted, sorted.
    pub(in crate::demo) explicit: Vec<u32>,
    /// With everything implied, sorted.
    pub(in crate::demo) all: Vec<u32>,
    pub(in crate::demo) kind: Kind,
}

/// All groups of a database and the combinations in use.
#[derive(Debug, Clone, Default)]
pub(in crate::demo) struct Groups {
    pub(in crate::demo) list: Vec<Group>,
    pub(in crate::demo) sets: Vec<GroupSet>,
}

/// module, name, label up to 18, label from 19, implied, first version, last version. In the order in which Odoo numbers them.
type Row = (
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    &'static [&'static str],
    u8,
    u8,
);

const TABLE: &[Row] = &[
    (
        "base",
        "group_user",
        "User types / Internal User",
        "Role / User",
        &["base.group_no_one"],
        14,
        99,
    ),
    (
        "base",
        "group_erp_manager",
        "Administration / Access Rights",
        "Access Rights",
        &["base.group_user"],
        14,
        99,
    ),
    (
        "base",
        "group_sanitize_override",
        "Bypass HTML Field Sanitize",
        "Bypass HTML Field Sanitize",
        &[],
        17,
        99,
    ),
    (
        "base",
        "group_system",
        "Administration / Settings",
        "Role / Administrator",
        &[
            "base.group_erp_manager",
            "base.group_sanitize_override",
            "base.group_no_one",
        ],
        14,
        99,
    ),
    (
        "base",
        "group_multi_company",
        "Extra Rights / Multi Companies",
        "Multi Companies",
        &[],
        14,
        99,
    ),
    (
        "base",
        "group_multi_currency",
        "Extra Rights / Multi Currencies",
        "Multi Currencies",
        &[],
        14,
        99,
    ),
    (
        "base",
        "group_no_one",
        "Extra Rights / Technical Features",
        "Technical Features",
        &[],
        14,
        99,
    ),
    (
        "base",
        "group_allow_export",
        "Technical / Access to export feature",
        "Access to export feature",
        &[],
        14,
        99,
    ),
    (
        "base",
        "group_partner_manager",
        "Extra Rights / Contact Creation",
        "Contact Creation",
        &[],
        14,
        99,
    ),
    (
        "base",
        "group_portal",
        "User types / Portal",
        "Role / Portal",
        &[],
        14,
        99,
    ),
    (
        "base",
        "group_public",
        "User types / Public",
        "Role / Public",
        &[],
        14,
        99,
    ),
    (
        "base",
        "group_private_addresses",
        "Technical / Access to Private Addresses",
        "",
        &[],
        14,
        16,
    ),
    (
        "base",
        "default_user_group",
        "",
        "Default access for new users",
        &[],
        19,
        99,
    ),
    (
        "sales_team",
        "group_sale_salesman",
        "Sales / User: Own Documents Only",
        "Sales / User: Own Documents Only",
        &["base.group_user"],
        14,
        99,
    ),
    (
        "sales_team",
        "group_sale_manager",
        "Sales / Administrator",
        "Sales / Administrator",
        &["sales_team.group_sale_salesman"],
        14,
        99,
    ),
    (
        "account",
        "group_account_readonly",
        "Technical / Show Accounting Features - Readonly",
        "Accounting / Read-only",
        &["base.group_user"],
        14,
        99,
    ),
    (
        "account",
        "group_account_invoice",
        "Accounting / Billing",
        "Accounting / Invoicing",
        &["base.group_user"],
        14,
        99,
    ),
    (
        "account",
        "group_account_user",
        "Technical / Show Full Accounting Features",
        "Show Full Accounting Features",
        &[
            "account.group_account_invoice",
            "account.group_account_readonly",
        ],
        14,
        99,
    ),
    (
        "account",
        "group_account_manager",
        "Accounting / Billing Administrator",
        "Accounting / Administrator",
        &["account.group_account_invoice"],
        14,
        99,
    ),
    (
        "hr",
        "group_hr_user",
        "Employees / Officer",
        "Employees / Officer: Manage all employees",
        &["base.group_user"],
        14,
        99,
    ),
    (
        "hr",
        "group_hr_manager",
        "Employees / Administrator",
        "Employees / Administrator",
        &["hr.group_hr_user"],
        14,
        99,
    ),
    (
        "hr_payroll",
        "group_hr_payroll_user",
        "Payroll / Officer",
        "Payroll / Officer",
        &["base.group_user"],
        14,
        99,
    ),
    (
        "hr_payroll",
        "group_hr_payroll_manager",
        "Payroll / Administrator",
        "Payroll / Administrator",
        &["hr_payroll.group_hr_payroll_user"],
        14,
        99,
    ),
    (
        "purchase",
        "group_purchase_user",
        "Purchase / User",
        "Purchase / User",
        &["base.group_user"],
        14,
        99,
    ),
    (
        "purchase",
        "group_purchase_manager",
        "Purchase / Administrator",
        "Purchase / Administrator",
        &["purchase.group_purchase_user"],
        14,
        99,
    ),
    (
        "stock",
        "group_stock_user",
        "Inventory / User",
        "Inventory / User",
        &["base.group_user"],
        14,
        99,
    ),
    (
        "stock",
        "group_stock_manager",
        "Inventory / Administrator",
        "Inventory / Administrator",
        &["stock.group_stock_user"],
        14,
        99,
    ),
    (
        "website",
        "group_website_restricted_editor",
        "Website / Restricted Editor",
        "Website / Restricted Editor",
        &["base.group_user"],
        15,
        99,
    ),
    (
        "website",
        "group_website_designer",
        "Website / Editor and Designer",
        "Website / Editor and Designer",
        &["base.group_user"],
        14,
        99,
    ),
    (
        "auth_totp_enforce",
        "group_mfa_exempt",
        "Exempt from two-factor authentication",
        "Exempt from two-factor authentication",
        &[],
        18,
        99,
    ),
    (
        AUDITOR_MODULE,
        "group_reader",
        "MFA exporter (read only)",
        "MFA exporter (read only)",
        &[],
        14,
        99,
    ),
];

/// The module name under which an administrator created the exporter's read-only group.
const AUDITOR_MODULE: &str = "__export__";

/// The group with read access and `(1, '=', 1)` rules on keys, devices and passkeys.
pub(in crate::demo) const AUDITOR: &str = "__export__.group_reader";

impl Groups {
    /// The groups of a version with these modules installed.
    pub(in crate::demo) fn of(version: u8, installed: impl Fn(&str) -> bool) -> Self {
        let mut list: Vec<Group> = Vec::new();
        let mut implied = Vec::new();
        for (module, name, old, new, implies, first, last) in TABLE {
            let there = *module == "base" || *module == AUDITOR_MODULE || installed(module);
            if !(*first..=*last).contains(&version) || !there {
                continue;
            }
            list.push(Group {
                id: u32::try_from(list.len()).expect("few groups") + 1,
                module: (*module).into(),
                name: (*name).into(),
                label: if version >= 19 { *new } else { *old }.into(),
                implied: Vec::new(),
            });
            implied.push(*implies);
        }
        let mut groups = Self {
            list,
            sets: Vec::new(),
        };
        for (index, names) in implied.into_iter().enumerate() {
            let manager = groups.list[index].name == "group_erp_manager";
            // Up to 17 an access-rights manager is no internal user by implication.
            let names = if manager && version < 18 { &[] } else { names };
            groups.list[index].implied = names.iter().filter_map(|name| groups.id(name)).collect();
        }
        groups
    }

    /// The id of a group by its XML id.
    pub(in crate::demo) fn id(&self, xml_id: &str) -> Option<u32> {
        let (module, name) = xml_id.split_once('.')?;
        self.list
            .iter()
            .find(|group| group.module == module && group.name == name)
            .map(|group| group.id)
    }

    /// The number of the set with exactly these groups, made if it is new.
    pub(in crate::demo) fn intern(&mut self, mut explicit: Vec<u32>) -> u16 {
        explicit.sort_unstable();
        explicit.dedup();
        if let Some(found) = self.sets.iter().position(|set| set.explicit == explicit) {
            return u16::try_from(found).expect("few combinations of groups");
        }
        let set = self.close(explicit);
        self.sets.push(set);
        u16::try_from(self.sets.len() - 1).expect("few combinations of groups")
    }

    /// Drops the groups of a module from every set.
    pub(in crate::demo) fn drop_module(&mut self, module: &str) {
        self.list.retain(|group| group.module != module);
        let left: Vec<u32> = self.list.iter().map(|group| group.id).collect();
        for group in &mut self.list {
            group.implied.retain(|id| left.contains(id));
        }
        let sets: Vec<_> = self
            .sets
            .iter()
            .map(|set| {
                set.explicit
                    .iter()
                    .copied()
                    .filter(|id| left.contains(id))
                    .collect()
            })
            .collect();
        self.sets = sets
            .into_iter()
            .map(|explicit| self.close(explicit))
            .collect();
    }

    fn close(&self, explicit: Vec<u32>) -> GroupSet {
        let mut all = explicit.clone();
        let mut at = 0;
        while at < all.len() {
            if let Some(group) = self.list.iter().find(|group| group.id == all[at]) {
                all.extend(
                    group
                        .implied
                        .iter()
                        .filter(|id| !all.contains(id))
                        .collect::<Vec<_>>(),
                );
            }
            at += 1;
        }
        all.sort_unstable();
        all.dedup();
        let has = |name: &str| self.id(name).is_some_and(|id| all.contains(&id));
        let kind = if has("base.group_user") {
            Kind::Internal
        } else if has("base.group_portal") {
            Kind::Portal
        } else if has("base.group_public") {
            Kind::Public
        } else {
            Kind::None
        };
        GroupSet {
            explicit,
            all,
            kind,
        }
    }
}
