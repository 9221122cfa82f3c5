//! XML ids and metadata of records: `get_external_id`, `get_metadata`, `check_object_reference`.

use serde_json::{Map, Value, json};

use super::{
    access::View,
    clock,
    fail::Fail,
    fields::Model,
    records::Row,
    world::{ACTIVE, World},
};

/// Every XML id of a record, the one with the lowest id of `ir.model.data` first.
fn xml_ids(world: &World, model: Model, id: u32) -> Vec<String> {
    if model == Model::Groups {
        let groups = world.groups.list.iter().filter(|group| group.id == id);
        let aliases = world.groups.aliases.iter().filter(|it| it.2 == id);
        return groups
            .map(|group| group.xml_id())
            .chain(aliases.map(|(module, name, _)| format!("{module}.{name}")))
            .collect();
    }
    let references = world.references.iter();
    references
        .filter(|it| it.model == model.name() && it.id == id)
        .map(|it| format!("base.{}", it.name))
        .collect()
}

impl<'w> View<'w> {
    /// One XML id of each record, whether or not a rule hides it; empty where there is none.
    pub(super) fn external_ids(&self, model: Model, ids: &[u32]) -> Result<Value, Fail> {
        self.check_read(model)?;
        let first = |id| xml_ids(self.world, model, id).into_iter().next();
        let pairs = ids
            .iter()
            .map(|id| (id.to_string(), json!(first(*id).unwrap_or_default())));
        Ok(Value::Object(pairs.collect::<Map<_, _>>()))
    }

    /// Creators of the records, and their XML ids. Records that do not exist are left out.
    pub(super) fn metadata(&self, model: Model, ids: &[u32]) -> Result<Value, Fail> {
        self.check_read(model)?;
        let rows: Vec<Row<'w>> = ids.iter().filter_map(|id| self.row(model, *id)).collect();
        self.refuse(model, rows.iter().filter(|row| !self.sees(row)))?;
        let date = clock::format(self.world.now());
        let describe = |row: &Row<'w>| {
            let names = xml_ids(self.world, model, row.id());
            let mut data = json!({
                "id": row.id(),
                "create_uid": [1, "OdooBot"],
                "create_date": date,
                "write_uid": [1, "OdooBot"],
                "write_date": date,
                "xmlid": names.first().map_or(json!(false), |name| json!(name)),
                "noupdate": false,
            });
            if self.world.version >= 16 {
                let list = names
                    .iter()
                    .map(|name| json!({"xmlid": name, "noupdate": false}));
                data["xmlids"] = list.collect();
            }
            data
        };
        Ok(rows.iter().map(describe).collect())
    }

    /// Model and id of an XML id; the id is `false` where a search does not find the record: hidden, or archived.
    pub(super) fn object_reference(
        &self,
        module: &str,
        name: &str,
        raise: bool,
    ) -> Result<Value, Fail> {
        let (model, id) = self.world.reference(module, name).ok_or_else(|| {
            Fail::value(format!(
                "External ID not found in the system: {module}.{name}"
            ))
        })?;
        let found = Model::find(self.world, model).and_then(|model| self.row(model, id));
        let shown = found.is_some_and(|row| {
            let archived = matches!(&row, Row::User(person) if !person.has(ACTIVE))
                || matches!(&row, Row::Company(_, company) if !company.active);
            !(archived && self.active_test) && self.sees(&row)
        });
        match (shown, raise) {
            (true, _) => Ok(json!([model, id])),
            (false, false) => Ok(json!([model, false])),
            (false, true) => Err(match self.world.version {
                ..=16 => Fail::Access(format!(
                    "Not enough access rights on the external ID: {module}.{name}"
                )),
                17 => Fail::type_error("not all arguments converted during string formatting"),
                _ => Fail::Access(format!(
                    "Not enough access rights on the external ID \"{module}.{name}\""
                )),
            }),
        }
    }
}
