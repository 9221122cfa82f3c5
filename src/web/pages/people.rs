//! The page of a target's users: numbers for all readers, names for readers with `read_names`.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};

use super::asked::{List, OfTarget};
use super::list::{ListQuery, Numbers, Row};
use super::parts::{Column, Select};
use super::refused::HOW_TO_GET_NAMES;
use super::text::{count, day, number, spaced, when};
use super::{Layout, file, html, refused};
use crate::domain::roster::{Filter, Roster, State as In};
use crate::domain::{TargetSnapshot, UserType};
use crate::odoo::directory::SortPeople;
use crate::web::App;
use crate::web::access::Role;
use crate::web::directory::{Listed, PeoplePage, PeopleQuery};

/// Rows of the numbers, and how they are called.
const STATES: [(In, &str); 14] = [
    (In::Unprotected, "Unprotected"),
    (In::PastGrace, "Unprotected, grace period over"),
    (In::Grace, "Unprotected, in the grace period"),
    (In::Dormant, "Unprotected, dormant"),
    (In::Protected, "Protected"),
    (In::Exempt, "Exempt"),
    (In::Totp, "With TOTP"),
    (In::Passkey, "With a passkey"),
    (In::Oauth, "Linked to OAuth"),
    (In::Saml, "Linked to SAML"),
    (In::SingleFactor, "With a single method"),
    (In::PasswordRpc, "Password may open RPC"),
    (In::Eligible, "Eligible"),
    (In::Active, "All active users"),
];

#[derive(Template)]
#[template(path = "people.html")]
struct Page {
    layout: Layout,
    name: String,
    query: PeopleQuery,
    types: Vec<UserType>,
    numbers: Numbers,
    roles: Vec<String>,
    as_of: Option<jiff::Timestamp>,
    list: List<PeoplePage>,
}

pub async fn page(
    OfTarget {
        app,
        reader,
        uri,
        query,
        name,
        snapshot,
    }: OfTarget<PeopleQuery>,
) -> Response {
    let list = List::read(&reader, app.directory.people(&name, &query)).await;
    let roster = snapshot.roster.as_deref();
    let types = types(&snapshot);
    let page = Page {
        layout: Layout::of(&app, &reader, &uri, &name, "Users"),
        numbers: numbers(roster, &types, |query| {
            reader.may(Role::ReadNames).then(|| query.href(&name))
        }),
        roles: roles(roster),
        as_of: roster.map(|roster| roster.facts.now),
        name,
        types,
        query,
        list,
    };
    (page.list.status(), html(&page)).into_response()
}

/// Only for those who may read names: see [`crate::web::access`].
pub async fn csv(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    Query(query): Query<PeopleQuery>,
) -> Response {
    match app.directory.people_csv(&name, &query).await {
        Ok(rows) => file(&format!("{name}-people"), rows),
        Err(refused) => refused::text(&refused),
    }
}

/// Types that there are users of.
fn types(snapshot: &TargetSnapshot) -> Vec<UserType> {
    let posture = snapshot.posture.as_ref();
    let there = |user_type: &UserType| posture.is_some_and(|it| it.has_type(*user_type));
    UserType::ALL.iter().copied().filter(there).collect()
}

fn roles(roster: Option<&Roster>) -> Vec<String> {
    let roles = roster.and_then(|roster| roster.facts.roles.complete());
    roles
        .into_iter()
        .flatten()
        .map(|(role, _)| role.clone())
        .collect()
}

fn numbers(
    roster: Option<&Roster>,
    types: &[UserType],
    link: impl Fn(&PeopleQuery) -> Option<String>,
) -> Numbers {
    let row = |roster: &Roster, (state, label): (In, _)| {
        let cell = |user_type: Option<UserType>| {
            let filter = Filter {
                state,
                user_type,
                role: None,
                reason: None,
            };
            let query = PeopleQuery {
                state: Some(state),
                user_type,
                ..PeopleQuery::default()
            };
            let people = roster.people(&filter)?;
            Ok((roster.count(&people), link(&query)))
        };
        let columns = std::iter::once(None).chain(types.iter().copied().map(Some));
        let cells = columns.map(cell).collect();
        Row { label, cells }
    };
    let header = std::iter::once("Users".to_owned());
    let rows = roster.map(|roster| STATES.map(|state| row(roster, state)).into());
    Numbers {
        what: "State",
        columns: header
            .chain(types.iter().map(UserType::to_string))
            .collect(),
        rows: rows.unwrap_or_default(),
    }
}

impl Page {
    fn columns(&self) -> Vec<Column> {
        let sorts = |title, by| self.query.column(&self.name, title, "", by);
        vec![
            sorts("Name", SortPeople::Name),
            sorts("Login", SortPeople::Login),
            Column::plain("Type", ""),
            Column::plain("Roles", ""),
            Column::plain("Protected by", ""),
            Column::plain("Remarks", ""),
            Column::plain("API keys", "n"),
            sorts("Created", SortPeople::Created),
            Column::plain("Last password login", ""),
        ]
    }

    fn selects(&self) -> [Select; 3] {
        let state = self.query.filter().state;
        let who = STATES
            .iter()
            .fold(Select::new("state", "Who"), |select, (it, label)| {
                select.option(it, label, *it == state)
            });
        let user_type = Select::new("user_type", "Type")
            .option("", "any", self.query.user_type.is_none())
            .words(&self.types, self.query.user_type);
        let chosen = self.query.role.as_ref().map_or("", |role| role.as_str());
        let role = Select::new("role", "Role")
            .option("", "any", chosen.is_empty())
            .option("any", "at least one", chosen == "any");
        let role = self.roles.iter().fold(role, |select, role| {
            select.option(role, role, role == chosen)
        });
        [who, user_type, role]
    }

    /// Accepted factors of a user.
    fn factors(&self, person: &Listed) -> String {
        let own = [
            ("TOTP", person.totp),
            ("passkey", person.passkey),
            ("single sign-on", person.sso),
        ];
        let mut held: Vec<&str> = own
            .into_iter()
            .filter(|(_, held)| *held == Some(true))
            .map(|(factor, _)| factor)
            .collect();
        match person.protected {
            Some(true) if held.is_empty() => held.push("e-mail code policy"),
            Some(false) if held.is_empty() => held.push("nothing"),
            Some(false) => held.push("not accepted"),
            None => held.push("unknown"),
            Some(true) => {}
        }
        held.join(", ")
    }

    fn remarks(&self, person: &Listed) -> String {
        let mut remarks = Vec::new();
        if !person.active {
            remarks.push("archived".to_owned());
        }
        if let Some(reason) = person.exempt {
            remarks.push(format!("exempt ({reason})"));
        }
        if person.in_grace {
            remarks.push("new account".to_owned());
        }
        if person.dormant == Some(true) {
            remarks.push("dormant".to_owned());
        }
        remarks.join(", ")
    }
}
