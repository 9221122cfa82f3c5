//! The groups of the database with all their XML ids, asked at each poll: either may change.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::Question;
use super::accounts::{INTERNAL, PORTAL, PUBLIC};
use super::proof::is_fresh;
use super::users::{row, unless_false};
use crate::domain::exemption::Matcher;
use crate::domain::role::Roles;
use crate::odoo::call::Call;
use crate::odoo::error::{Error, Kind};
use crate::odoo::groups::{GroupRow, Groups};
use crate::odoo::session::{Reference, Session};
use crate::odoo::text::Text;
use crate::odoo::transport::Transport;

/// The reply of `get_metadata` for a record. It also contains its creator, which is not read.
#[derive(Deserialize)]
struct MetadataRow {
    id: u32,
    /// One XML id; the oldest, if there are several.
    #[serde(deserialize_with = "unless_false")]
    xmlid: Option<Text>,
    /// All of them, from 16 on.
    xmlids: Option<Vec<AnyXmlId>>,
}

#[derive(Deserialize)]
struct AnyXmlId {
    xmlid: Text,
}

/// A row of `ir.model.data`.
#[derive(Deserialize)]
struct DataRow {
    id: u32,
    module: Text,
    name: Text,
    res_id: u32,
}

row!(MetadataRow, DataRow);

/// Reads the groups.
pub(super) async fn read(
    transport: &Transport,
    session: &Session,
    question: &Question<'_>,
    implied: bool,
) -> Result<Groups, Error> {
    let fields = if implied {
        vec!["all_implied_ids"]
    } else {
        vec!["id"]
    };
    let call = Call::new("res.groups", "search_read")
        .arg("domain", Value::Array(Vec::new()))
        .named("fields", fields)
        .named("order", "id")
        .with_archived();
    let rows: Vec<GroupRow> = session.call(transport, call, "groups").await?;
    let ids: Vec<u32> = rows.iter().map(|row| row.id).collect();
    let call = Call::new("res.groups", "get_metadata").arg("ids", ids);
    let metadata: Vec<MetadataRow> = session
        .call(transport, call, "the XML ids of groups")
        .await?;
    let are_all = metadata.iter().all(|row| row.xmlids.is_some());
    let mut groups = Groups::new(&rows, xml_ids(metadata));
    if !are_all {
        add_aliases(transport, session, question, &mut groups).await?;
    }
    Ok(groups)
}

fn xml_ids(metadata: Vec<MetadataRow>) -> BTreeMap<String, u32> {
    let mut found = BTreeMap::new();
    for row in metadata {
        let others = row.xmlids.into_iter().flatten().map(|it| it.xmlid);
        found.extend(
            row.xmlid
                .into_iter()
                .chain(others)
                .map(|it| (it.into(), row.id)),
        );
    }
    found
}

/// Up to 15 Odoo gives one XML id of a group: the others are looked up by name where the configuration needs them.
async fn add_aliases(
    transport: &Transport,
    session: &Session,
    question: &Question<'_>,
    groups: &mut Groups,
) -> Result<(), Error> {
    let missing = |groups: &Groups| -> Vec<String> {
        let wanted = wanted(question).filter(|xml_id| groups.id(xml_id).is_none());
        wanted
            .filter(|xml_id| {
                let module = xml_id.split('.').next().unwrap_or_default();
                // The groups of applications that are not installed are no surprise.
                groups.has_module(module) || !Roles::is_of_default_role(xml_id)
            })
            .map(str::to_owned)
            .collect()
    };
    let unknown = |xml_id: &String| {
        let learned = session.learned.lock();
        let asked = learned.unknown_xml_ids.get(xml_id);
        asked.is_some_and(|asked| is_fresh(*asked, question.now))
    };
    if missing(groups).iter().all(unknown) {
        return Ok(());
    }
    let call = Call::new("ir.model.data", "search_read")
        .arg("domain", json!([["model", "=", "res.groups"]]))
        .named("fields", vec!["module", "name", "res_id"])
        .named("order", "id");
    match session
        .call::<Vec<DataRow>>(transport, call, "XML ids")
        .await
    {
        Ok(rows) => {
            for row in rows {
                groups.add(format!("{}.{}", row.module, row.name), row.res_id);
            }
            let mut learned = session.learned.lock();
            for xml_id in missing(groups) {
                learned.unknown_xml_ids.insert(xml_id, question.now);
            }
            return Ok(());
        }
        Err(error) if error.kind == Kind::Forbidden => {}
        Err(error) => return Err(error),
    }
    for xml_id in missing(groups)
        .into_iter()
        .filter(|xml_id| !unknown(xml_id))
    {
        let Some((module, name)) = xml_id.split_once('.') else {
            continue;
        };
        match session.reference(transport, module, name).await? {
            Reference::Found(group) => groups.add(xml_id, group),
            Reference::Hidden | Reference::Unknown => {
                let mut learned = session.learned.lock();
                learned.unknown_xml_ids.insert(xml_id, question.now);
            }
        }
    }
    Ok(())
}

/// The XML ids that a poll needs.
fn wanted<'q>(question: &'q Question<'_>) -> impl Iterator<Item = &'q str> {
    [INTERNAL, PORTAL, PUBLIC]
        .into_iter()
        .chain(configured(question))
}

/// The XML ids of groups that the configuration names.
pub(super) fn configured<'q>(question: &'q Question<'_>) -> impl Iterator<Item = &'q str> {
    let of_roles = question.roles.iter().flat_map(|(_, xml_ids)| xml_ids);
    let exemptions = question.target.exemptions.iter();
    let of_exemptions = exemptions.filter_map(|entry| match &entry.matcher {
        Matcher::Group(xml_id) => Some(xml_id),
        Matcher::Login(_) | Matcher::Glob(_) => None,
    });
    of_roles.chain(of_exemptions).map(|xml_id| xml_id.as_str())
}
