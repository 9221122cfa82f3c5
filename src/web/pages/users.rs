//! Users of all targets: numbers for every reader, names for readers who may read them.

use std::fmt::Write as _;
use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::http::Uri;
use axum::response::{IntoResponse, Response};

use super::asked::{Asked, List, to_save};
use super::list::{
    COUNTED, Filters, ListQuery, Numbers, PagedQuery, PerTarget, Row, role_options, roles, words,
};
use super::parts::Column;
use super::refused::HOW_TO_GET_NAMES;
use super::text::{count, day, number, spaced, target_page, when};
use super::{Layout, file, html, refused};
use crate::domain::UserType;
use crate::domain::roster::State as In;
use crate::web::App;
use crate::web::directory::{Listed, SortUsers, UsersPage, UsersQuery};

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
#[template(path = "users.html")]
struct Page {
    layout: Layout,
    query: UsersQuery,
    filters: Filters,
    numbers: Numbers,
    per_target: PerTarget,
    list: List<UsersPage>,
}

pub async fn page(
    Asked {
        app,
        reader,
        uri,
        query,
    }: Asked<UsersQuery>,
) -> Response {
    let list = List::read(&reader, app.directory.users(&query)).await;
    let link = |target: &str| {
        UsersQuery {
            target: vec![target.to_owned()],
            page: None,
            sort: None,
            order: None,
            ..query.clone()
        }
        .href()
    };
    let per_target = PerTarget::new(app.directory.count_users(&query), link);
    let page = Page {
        layout: Layout::listing(&app, &reader, &uri, "Users", query.which()),
        numbers: numbers(&app, &query, per_target.targets),
        filters: filters(&app, &query, per_target.targets),
        per_target,
        query,
        list,
    };
    (page.list.status(), html(&page)).into_response()
}

/// Only for those who may read names: see [`crate::web::access`].
pub async fn csv(State(app): State<Arc<App>>, uri: Uri) -> Response {
    let query = match to_save::<UsersQuery>(&uri) {
        Ok(query) => query,
        Err(response) => return response,
    };
    match app.directory.users_csv(&query).await {
        Ok(rows) => file(&query.file_name(), rows),
        Err(refused) => refused::text(&refused),
    }
}

fn filters(app: &App, query: &UsersQuery, targets: usize) -> Filters {
    let states = STATES.map(|(state, label)| {
        let chosen = query.states().contains(&state) && query.finding.is_none();
        (state.to_string(), label.to_owned(), chosen)
    });
    let roles = roles(app, query.which());
    Filters::of(app, query)
        .search("Name or login", query.q.as_ref())
        .group("state", "State", states.into_iter())
        .group("user_type", "Type", words(UserType::ALL, &query.user_type))
        .group("role", "Role", role_options(&roles, &query.role))
        .sorts(SortUsers::ALL, query.sort(targets), query.order)
}

/// The numbers by state and type, of the targets that the list is about.
fn numbers(app: &App, query: &UsersQuery, targets: usize) -> Numbers {
    if targets == 0 || targets > COUNTED {
        return Numbers::default();
    }
    let cell = |state, user_type: Option<UserType>| {
        let list = UsersQuery {
            target: query.target.clone(),
            label: query.label.clone(),
            state: vec![state],
            user_type: user_type.into_iter().collect(),
            ..UsersQuery::default()
        };
        (app.directory.count_users(&list), list.href())
    };
    let types = || std::iter::once(None).chain(UserType::ALL.iter().copied().map(Some));
    let row = |(state, label)| {
        Row::new(
            label,
            types().map(|user_type| cell(state, user_type)).collect(),
        )
    };
    let title =
        |user_type: Option<UserType>| user_type.map_or("all".to_owned(), |it| it.to_string());
    Numbers {
        what: "Users",
        columns: types().map(title).collect(),
        rows: STATES.map(row).into(),
    }
}

impl Page {
    fn columns(&self, page: &UsersPage) -> Vec<Column> {
        let targets = usize::try_from(page.targets).unwrap_or(usize::MAX);
        let sorts = |title, by| self.query.column(targets, title, "", by);
        let mut columns = vec![
            sorts("Name", SortUsers::Name),
            sorts("Login", SortUsers::Login),
            sorts("Target", SortUsers::Target),
            Column::plain("Type", ""),
            Column::plain("Roles", ""),
            Column::plain("Protected by", ""),
            Column::plain("Remarks", ""),
            Column::plain("API keys", "n"),
            sorts("Created", SortUsers::Created),
            sorts("Last password login", SortUsers::LastLogin),
        ];
        if page.targets == 1 {
            columns.remove(2);
        }
        columns
    }

    fn is_of_one(&self, page: &UsersPage) -> bool {
        page.targets == 1
    }

    /// The logins on the page that are e-mail addresses, as most are.
    fn addresses(&self, page: &UsersPage) -> Vec<String> {
        let mut addresses: Vec<String> = page
            .users
            .iter()
            .map(|user| user.login.clone())
            .filter(|login| is_address(login))
            .collect();
        addresses.sort();
        addresses.dedup();
        addresses
    }

    /// A configuration that exempts the users on the page.
    fn exemptions(&self, page: &UsersPage) -> String {
        let mut text = String::new();
        let mut target = None;
        let mut users: Vec<&Listed> = page
            .users
            .iter()
            .filter(|it| it.active && it.exempt.is_none())
            .collect();
        users.sort_by_key(|user| &user.target);
        for user in users {
            if target != Some(&user.target) {
                target = Some(&user.target);
                // A string of JSON is one of YAML.
                let _ = writeln!(text, "- name: {}\n  exemptions:", quoted(&user.target));
            }
            let user_type = match user.user_type {
                Some(user_type) if user_type != UserType::Internal => {
                    format!(", user_type: {user_type}")
                }
                _ => String::new(),
            };
            let _ = writeln!(
                text,
                "  - {{login: {}{user_type}, reason: service}}",
                quoted(&user.login)
            );
        }
        text
    }

    /// Second factor of a user.
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
            remarks.push("grace period".to_owned());
        }
        if person.dormant == Some(true) {
            remarks.push("dormant".to_owned());
        }
        remarks.join(", ")
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn is_address(login: &str) -> bool {
    let plain = |part: &str| {
        !part.is_empty() && !part.contains(|c: char| c.is_whitespace() || "<>,;\"".contains(c))
    };
    matches!(login.split_once('@'), Some((name, host)) if plain(name) && plain(host) && !host.contains('@'))
}
