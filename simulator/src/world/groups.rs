//! Groups: who implies whom, and interned sets of them, so that a user costs two bytes however many groups they are in.

use super::{
    Kind,
    group_table::{AUDITOR_MODULE, TABLE},
};

/// A group and what it implies.
#[derive(Debug, Clone)]
pub(crate) struct Group {
    pub(crate) id: u32,
    /// The module that defines it.
    pub(crate) module: String,
    /// Its name within the module.
    pub(crate) name: String,
    /// The label, with its category.
    pub(crate) label: String,
    /// Ids of the groups that it implies directly.
    pub(crate) implied: Vec<u32>,
}

impl Group {
    pub(crate) fn xml_id(&self) -> String {
        format!("{}.{}", self.module, self.name)
    }
}

/// A combination of groups of a user.
#[derive(Debug, Clone)]
pub(crate) struct GroupSet {
    /// As granted, sorted.
    pub(crate) explicit: Vec<u32>,
    /// With everything implied, sorted.
    pub(crate) all: Vec<u32>,
    pub(crate) kind: Kind,
}

/// All groups of a database and the combinations in use.
#[derive(Debug, Clone, Default)]
pub(crate) struct Groups {
    pub(crate) list: Vec<Group>,
    /// Further XML ids: module, name, group.
    pub(crate) aliases: Vec<(String, String, u32)>,
    pub(crate) sets: Vec<GroupSet>,
}

impl Groups {
    /// The groups of a version with these modules installed.
    pub(crate) fn of(version: u8, installed: impl Fn(&str) -> bool) -> Self {
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
            ..Self::default()
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
    pub(crate) fn id(&self, xml_id: &str) -> Option<u32> {
        let (module, name) = xml_id.split_once('.')?;
        let own = self
            .list
            .iter()
            .find(|group| group.module == module && group.name == name)
            .map(|group| group.id);
        let alias = || {
            let mut aliases = self.aliases.iter();
            aliases
                .find(|(its_module, its_name, _)| its_module == module && its_name == name)
                .map(|(.., id)| *id)
        };
        own.or_else(alias)
    }

    /// A group that an administrator creates; gives its id.
    pub(crate) fn add(&mut self, version: u8, name: &str) -> u32 {
        let id = self.list.iter().map(|group| group.id).max().unwrap_or(0) + 1;
        let regular = self.id("base.group_user_regular").filter(|_| version >= 20);
        self.list.push(Group {
            id,
            module: AUDITOR_MODULE.into(),
            name: name.into(),
            label: name.into(),
            implied: regular.into_iter().collect(),
        });
        id
    }

    /// The number of the set with exactly these groups, made if it is new.
    pub(crate) fn intern(&mut self, mut explicit: Vec<u32>) -> u16 {
        explicit.sort_unstable();
        explicit.dedup();
        if let Some(found) = self.sets.iter().position(|set| set.explicit == explicit) {
            return u16::try_from(found).expect("few combinations of groups");
        }
        let set = self.close(explicit);
        self.sets.push(set);
        u16::try_from(self.sets.len() - 1).expect("few combinations of groups")
    }

    /// The group itself, and the groups that imply it.
    pub(crate) fn implying(&self, id: u32) -> Vec<u32> {
        let implies = |group: &&Group| self.close(vec![group.id]).all.contains(&id);
        let groups = self.list.iter().filter(implies);
        groups.map(|group| group.id).collect()
    }

    /// Drops the groups of a module from every set.
    pub(crate) fn drop_module(&mut self, module: &str) {
        self.list.retain(|group| group.module != module);
        let left: Vec<u32> = self.list.iter().map(|group| group.id).collect();
        self.aliases.retain(|(.., id)| left.contains(id));
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
