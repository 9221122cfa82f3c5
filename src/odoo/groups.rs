//! Groups of a database, by XML id, and their implications.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::{Value, json};

use super::reply::row;
use crate::domain::IdSet;

/// The groups of a database.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Groups {
    /// Ids by XML id; a group may have several. A group without one cannot be named in a configuration.
    by_xml_id: BTreeMap<String, u32>,
    /// The groups that the account sees.
    visible: IdSet,
    /// For each group, all groups that imply it, itself included. Up to 18 only itself: Odoo writes implied groups down as members.
    implying: BTreeMap<u32, Vec<u32>>,
}

/// A row of `res.groups`.
#[derive(Debug, Deserialize)]
pub(super) struct GroupRow {
    pub(super) id: u32,
    /// The group itself and all groups that it implies; from 19 on.
    #[serde(default)]
    all_implied_ids: Vec<u32>,
}

row!(GroupRow);

impl Groups {
    /// Reads the rows, and the XML ids of their ids.
    pub(super) fn new(rows: &[GroupRow], xml_ids: impl IntoIterator<Item = (String, u32)>) -> Self {
        let mut groups = Self {
            by_xml_id: xml_ids.into_iter().collect(),
            visible: rows.iter().map(|row| row.id).collect(),
            ..Self::default()
        };
        for row in rows {
            groups.implying.entry(row.id).or_default().push(row.id);
            for implied in row
                .all_implied_ids
                .iter()
                .filter(|implied| **implied != row.id)
            {
                groups.implying.entry(*implied).or_default().push(row.id);
            }
        }
        groups
    }

    /// Another XML id of a group.
    pub(super) fn add(&mut self, xml_id: String, group: u32) {
        self.by_xml_id.insert(xml_id, group);
    }

    /// The groups.
    pub(super) fn ids(&self) -> IdSet {
        self.visible.clone()
    }

    /// The group of this XML id.
    pub(super) fn id(&self, xml_id: &str) -> Option<u32> {
        self.by_xml_id.get(xml_id).copied()
    }

    /// Returns true if a group has an XML id of this module: then it is installed.
    pub(super) fn has_module(&self, module: &str) -> bool {
        let prefix = format!("{module}.");
        let mut from = self.by_xml_id.range(prefix.clone()..);
        from.next()
            .is_some_and(|(xml_id, _)| xml_id.starts_with(&prefix))
    }

    /// All groups whose members are members of the named one; none if it does not exist.
    pub(super) fn members_of(&self, xml_id: &str) -> &[u32] {
        self.id(xml_id)
            .and_then(|id| self.implying.get(&id))
            .map_or(&[], Vec::as_slice)
    }

    /// The same for several: a set.
    pub(super) fn members_of_any<'a>(
        &self,
        xml_ids: impl IntoIterator<Item = &'a str>,
    ) -> BTreeSet<u32> {
        xml_ids
            .into_iter()
            .flat_map(|xml_id| self.members_of(xml_id))
            .copied()
            .collect()
    }
}

/// A domain leaf: in one of these groups.
pub(super) fn in_groups<'a>(field: &str, groups: impl IntoIterator<Item = &'a u32>) -> Value {
    json!([field, "in", groups.into_iter().collect::<Vec<_>>()])
}
