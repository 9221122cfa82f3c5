//! The pages, on simulated servers: what they show is what the metrics say, names are for those who may read them, and nothing from a
//! server becomes markup.

use std::sync::Arc;
use std::time::Duration;

use odoo_mfa_exporter::config::Web;
use odoo_mfa_exporter::domain::UserType;
use odoo_mfa_exporter::store::{Limits as Kept, Location, Store};
use odoo_mfa_exporter::web::Limits;
use odoo_mfa_exporter::web::access::Access;
use odoo_simulator::{AccountKind, Fault, Kind, Recipe, Scope, World};
use reqwest::{StatusCode, header};

use crate::access::{basic, list, users, web};
use crate::harness::exporter::{Server, Shown, client};
use crate::harness::snapshots::{down, partly_visible, pending, up};
use crate::harness::staged::{DAY, NOW, Staged, StagedFleet, lived_in};

/// Officer `olga` may read names, `rolf` numbers.
fn access() -> Access {
    let directory = tempfile::tempdir().expect("a directory");
    let roles = Web {
        read_names: list(&["olga"]),
        ..Web::default()
    };
    Access::new(&roles, web(directory.path(), &users(&["olga", "rolf"]))).expect("both can sign in")
}

struct Pages {
    server: Server,
}

impl Pages {
    async fn of(shown: &Shown, store: Option<Store>) -> Self {
        let access = access();
        let routes = shown.routes_for(access.clone(), store).0;
        let server = Server::start_behind(access, Limits::default(), routes).await;
        Self { server }
    }

    async fn staged(staged: &Staged) -> Self {
        let shown = Shown::with(Arc::clone(&staged.board), Arc::clone(&staged.directory));
        Self::of(&shown, None).await
    }

    async fn get(&self, user: &str, path: &str) -> reqwest::Response {
        let password: String = user.chars().rev().collect();
        let request = client()
            .get(self.server.url(path.strip_prefix('.').unwrap_or(path)))
            .header(header::AUTHORIZATION, basic(user, &password));
        request.send().await.expect("an answer")
    }

    async fn page(&self, user: &str, path: &str) -> (StatusCode, String) {
        let response = self.get(user, path).await;
        let kind = response.headers()[header::CONTENT_TYPE].clone();
        assert_eq!(kind, "text/html; charset=utf-8", "{path}");
        let policy = response.headers()[header::CONTENT_SECURITY_POLICY].clone();
        let policy = policy.to_str().expect("text");
        assert!(
            policy.starts_with("default-src 'none'; style-src 'self';"),
            "{policy}"
        );
        (response.status(), response.text().await.expect("text"))
    }
}

/// The text of the cells of each row of the table's body, without markup.
fn rows(page: &str, heading: &str) -> Vec<Vec<String>> {
    let (_, table) = page
        .split_once(heading)
        .unwrap_or_else(|| panic!("no {heading} in {page}"));
    let body = table
        .split("<tbody")
        .nth(1)
        .and_then(|it| it.split("</tbody>").next());
    let text = |cell: &str| {
        let (_, cell) = cell.split_once('>').unwrap_or_default();
        let texts: Vec<&str> = cell
            .split('<')
            .map(|part| part.split_once('>').map_or(part, |(_, text)| text))
            .collect();
        texts.concat().trim().to_owned()
    };
    let cells = |row: &str| {
        let row = row.replace("<th", "<td");
        row.split("<td").skip(1).map(text).collect()
    };
    body.expect("a table")
        .split("<tr")
        .skip(1)
        .map(cells)
        .collect()
}

#[tokio::test]
async fn the_fleet_is_shown_worst_first_filtered_and_sorted() {
    let hostile = "<script>alert(1)</script>";
    let shown = Shown::new([
        up("good"),
        pending("new"),
        down("crm"),
        partly_visible("limited"),
        up(hostile),
    ]);
    shown.state.set_store_errors(2);
    let pages = Pages::of(&shown, None).await;
    let names = async |path: &str| -> Vec<String> {
        let (status, page) = pages.page("rolf", path).await;
        assert_eq!(status, StatusCode::OK);
        rows(&page, "aria-label=\"Targets\">\n<table")
            .into_iter()
            .map(|row| row[0].split("team: ").next().expect("a name").to_owned())
            .collect()
    };
    let (_, page) = pages.page("rolf", "/").await;
    for expected in [
        "<base href=\"./\">",
        "<a href=\"./metrics\">",
        "Targets up</span> <strong class=\"\">3<",
        "Targets down</span> <strong class=\"bad\">1<",
        "1 pending",
        "The store failed 2 times",
        "Signed in as <strong>rolf</strong>",
    ] {
        assert!(page.contains(expected), "{expected} is not in {page}");
    }
    assert!(!page.contains("<script"), "{page}");
    let escaped = "&#60;script&#62;alert(1)&#60;/script&#62;";
    let link = "/targets/%3Cscript%3Ealert(1)%3C%2Fscript%3E";
    assert!(
        page.contains(&format!("<a href=\".{link}\">{escaped}</a>")),
        "{page}"
    );
    let table = rows(&page, "aria-label=\"Targets\">\n<table");
    let row = |name: &str| {
        table
            .iter()
            .find(|row| row[0].starts_with(name))
            .expect("a row")
            .clone()
    };
    assert_eq!(
        row("crm")[1..],
        ["down: authOdoo 19.0", "–", "–", "–", "–", "–", "–", "0"]
    );
    assert_eq!(row("new")[1], "pending");
    assert_eq!(row("limited")[1], "up, incompleteOdoo 19.0");
    assert_eq!(row("limited")[6..8], ["–", "–"], "unknown values are no 0");
    assert_eq!(
        row("good")[3..],
        ["80% (76 of 95)", "–", "25.3% (50 of 197)", "23", "90", "0"]
    );

    assert_eq!(names("/").await[..2], ["crm", "new"]);
    assert_eq!(names("/?state=down").await, ["crm"]);
    assert_eq!(names("/?state=incomplete").await, ["limited"]);
    assert_eq!(names("/?q=GOO&state=").await, ["good"]);
    assert_eq!(
        names("/?sort=keys&order=desc").await[..2],
        [escaped, "good"]
    );
    assert_eq!(
        names("/?sort=keys&order=asc").await[2..],
        ["crm", "limited", "new"],
        "unknown values come last"
    );
    let (status, page) = pages.page("rolf", "/?stat=down").await;
    assert_eq!(
        status,
        StatusCode::BAD_REQUEST,
        "a misspelled filter must not show all users"
    );
    assert!(page.contains("unknown field `stat`"), "{page}");
    let (status, page) = pages.page("rolf", "/targets/unknown").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(page.contains("unknown target &#39;unknown&#39;"), "{page}");
    let (status, _) = pages.page("rolf", link).await;
    assert_eq!(status, StatusCode::OK);
    pages.server.stop().await;
}

#[tokio::test]
async fn a_large_fleet_has_pages() {
    let shown = Shown::new((0..120).map(|number| up(&format!("t{number:03}"))));
    let pages = Pages::of(&shown, None).await;
    let mut seen = Vec::new();
    for number in 1..=3 {
        let (_, page) = pages
            .page("rolf", &format!("/?sort=name&page={number}"))
            .await;
        assert!(page.contains(&format!("Page {number} of 3")), "{page}");
        seen.extend(
            rows(&page, "aria-label=\"Targets\">\n<table")
                .into_iter()
                .map(|row| row[0][..4].to_owned()),
        );
    }
    assert_eq!(
        seen,
        (0..120)
            .map(|number| format!("t{number:03}"))
            .collect::<Vec<_>>()
    );
    pages.server.stop().await;
}

#[tokio::test]
async fn a_target_shows_what_the_metrics_say_and_what_to_do() {
    let mut world = lived_in(&Recipe::new(19, 4));
    let admin = world.hire_at(Kind::Internal, NOW - 100 * DAY);
    world.grant(admin, "base.group_system");
    let staged = Staged::new(world, AccountKind::Full, "").await;
    let pages = Pages::staged(&staged).await;
    let (status, page) = pages.page("olga", "/targets/erp").await;
    assert_eq!(status, StatusCode::OK);
    let posture = &staged.posture;
    let protected = posture.protected.expect("known");
    let coverage = rows(&page, "<h3>Coverage</h3>");
    for (row, user_type) in coverage.iter().zip([UserType::Internal, UserType::Portal]) {
        let numbers = format!(
            "{} of {}",
            protected[user_type], posture.eligible[user_type]
        );
        assert_eq!(
            (row[0].as_str(), row[1].as_str()),
            (user_type.as_str(), numbers.as_str())
        );
        assert_eq!(row[6], posture.totp.expect("known")[user_type].to_string());
    }
    let privileged = posture.privileged.as_ref().expect("known");
    let table = rows(&page, "<h3>Roles</h3>");
    assert_eq!(table.len(), privileged.roles.len());
    for (row, role) in table.iter().zip(&privileged.roles) {
        let numbers = [
            role.people,
            role.unprotected.expect("known"),
            role.unprotected_past_grace.expect("known"),
            role.exempt,
        ];
        assert_eq!(row[0], role.name);
        assert_eq!(
            [&row[1], &row[3], &row[4], &row[5]],
            numbers.map(|it| it.to_string()).each_ref()
        );
    }
    assert!(page.contains("<strong>What to do:</strong>"), "{page}");
    // The affected users of a finding are a list of its own, for readers with `read_names`.
    let link = page
        .split("href=\"")
        .filter_map(|it| it.split('"').next())
        .find(|it| it.contains("finding=admin_without_mfa"));
    let link = link.expect("a link").replace("&#38;", "&");
    let (_, concerned) = pages.page("olga", &link).await;
    assert!(
        concerned.contains(&staged.database.world().user(admin).expect("there").login()),
        "{concerned}"
    );
    let (_, page) = pages.page("rolf", "/targets/erp").await;
    assert!(
        !page.contains("finding=") && !page.contains("res.users"),
        "{page}"
    );
    pages.server.stop().await;
}

#[tokio::test]
async fn a_target_that_is_down_or_partly_seen_says_why() {
    let staged = Staged::new(lived_in(&Recipe::new(18, 4)), AccountKind::Plain, "").await;
    let pages = Pages::staged(&staged).await;
    let (_, page) = pages.page("olga", "/targets/erp").await;
    let seen = rows(&page, "<h2 id=\"seen\">");
    let keys = seen.iter().find(|row| row[0] == "api keys").expect("a row");
    assert_eq!(keys[1], "missing");
    assert!(keys[3].contains("[(1, &#39;=&#39;, 1)]"), "{keys:?}");
    let (status, page) = pages.page("olga", "/keys?target=erp").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(
        page.contains("The list is not available:</strong> API keys are not completely visible"),
        "{page}"
    );
    assert!(
        rows(&page, "<h2 id=\"numbers\">")
            .iter()
            .all(|row| row[1].starts_with("Unknown")),
        "{page}"
    );
    pages.server.stop().await;

    let shown = Shown::new([down("crm"), pending("new")]);
    let pages = Pages::of(&shown, None).await;
    for (target, expected) in [
        ("crm", "Down: auth"),
        ("new", "The first poll has not ended yet"),
    ] {
        let (status, page) = pages.page("olga", &format!("/targets/{target}")).await;
        assert_eq!(status, StatusCode::OK);
        assert!(page.contains(expected), "{page}");
        assert!(!page.contains("<h3>Coverage</h3>"), "{page}");
    }
    let (status, page) = pages.page("olga", "/users?target=crm").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(
        page.contains("the last poll failed: auth") && !page.contains("No such users"),
        "{page}"
    );
    pages.server.stop().await;
}

#[tokio::test]
async fn people_are_named_for_those_who_may_read_names_and_counted_for_others() {
    let mut world = lived_in(&Recipe::new(19, 6));
    let hostile = world.hire_at(Kind::Portal, NOW - 100 * DAY);
    world.rename(
        hostile,
        "a\"><img src=x onerror=alert(1)>@mail.example",
        "<script>alert('x')</script>",
    );
    let staged = Staged::new(world, AccountKind::Full, "").await;
    let pages = Pages::staged(&staged).await;
    let (status, page) = pages
        .page(
            "olga",
            "/users?target=erp&state=unprotected&user_type=portal&per_page=500",
        )
        .await;
    assert_eq!(status, StatusCode::OK);
    for markup in ["<script", "<img src=x"] {
        assert!(!page.contains(markup), "{markup} is in {page}");
    }
    let form = format!(
        "<a href=\"{}/odoo/users/{hostile}\" rel=\"noreferrer\">&#60;script&#62;",
        staged.server.url()
    );
    assert!(page.contains(&form), "{form} is not in {page}");
    let posture = &staged.posture;
    let number =
        posture.eligible[UserType::Portal] - posture.protected.expect("known")[UserType::Portal];
    assert_eq!(rows(&page, "aria-label=\"Users\"").len() as u64, number);
    let numbers = rows(&page, "<h2 id=\"numbers\">");
    assert_eq!(
        numbers[0][..2],
        [
            "Unprotected".to_owned(),
            (number + posture.eligible[UserType::Internal]
                - posture.protected.expect("known")[UserType::Internal])
                .to_string()
        ]
    );
    assert_eq!(numbers[0][3], number.to_string());

    let before = staged.database.log().total();
    let (status, page) = pages
        .page("rolf", "/users?target=erp&state=unprotected")
        .await;
    assert_eq!(status, StatusCode::OK);
    assert!(page.contains("web.roles.read_names"), "{page}");
    assert!(
        !page.contains("@mail.example") && !page.contains("/odoo/users/"),
        "{page}"
    );
    assert_eq!(rows(&page, "<h2 id=\"numbers\">"), numbers);
    assert_eq!(
        staged.database.log().total(),
        before,
        "no name is read for a reader who may not see it"
    );
    let refused = pages.get("rolf", "/users.csv?target=erp").await;
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);

    staged.database.fail(Fault::Raise(
        "psycopg2.OperationalError",
        "Connection refused".into(),
    ));
    let (status, page) = pages.page("olga", "/users?target=erp").await;
    assert_eq!(status, StatusCode::BAD_GATEWAY);
    assert!(
        page.contains("role=\"alert\"") && page.contains("Connection refused"),
        "{page}"
    );
    assert!(
        page.contains("check the logs of Odoo and PostgreSQL"),
        "{page}"
    );
    assert_eq!(
        rows(&page, "<h2 id=\"numbers\">"),
        numbers,
        "the poll's numbers are still true"
    );
    pages.server.stop().await;
}

#[tokio::test]
async fn files_are_whole_or_visibly_not_and_hold_no_formula() {
    let mut world = lived_in(&Recipe::new(18, 6));
    for (number, sign) in ["=", "+", "-", "@"].iter().enumerate() {
        let person = world.hire(Kind::Internal);
        world.rename(
            person,
            &format!("f{number}@company.example"),
            &format!("{sign}HYPERLINK(\"http://x\",\"y\")"),
        );
        world.add_key(person, Scope::Rpc, NOW - DAY, None);
    }
    let staged = Staged::new(world, AccountKind::Full, "").await;
    let pages = Pages::staged(&staged).await;
    for path in [
        "/users.csv?target=erp&state=active&q=company",
        "/keys.csv?target=erp",
    ] {
        let response = pages.get("olga", path).await;
        assert_eq!(response.status(), StatusCode::OK);
        let disposition = response.headers()[header::CONTENT_DISPOSITION]
            .to_str()
            .expect("text")
            .to_owned();
        assert!(
            disposition.starts_with("attachment; filename=\"users-active-company-erp-20")
                || disposition.starts_with("attachment; filename=\"keys-erp-20"),
            "{disposition}"
        );
        let text = response.text().await.expect("text");
        for sign in ["=", "+", "-", "@"] {
            assert!(
                text.contains(&format!("\"'{sign}HYPERLINK(\"\"http://x\"\",\"\"y\"\")\"")),
                "{sign} in {text}"
            );
        }
    }
    pages.server.stop().await;

    // A long list is sent while it is read.
    let world = odoo_simulator::World::build(
        &Recipe {
            portal: 3_000,
            ..Recipe::new(18, 6)
        },
        odoo_simulator::Clock::fixed(NOW),
    );
    let staged = Staged::new(world, AccountKind::Full, "").await;
    let pages = Pages::staged(&staged).await;
    let failing = Fault::Raise(
        "psycopg2.errors.QueryCanceled",
        "canceling statement".into(),
    );
    staged
        .database
        .fail_when(Some("res.users"), Some("search_read"), None, failing);
    let response = pages
        .get("olga", "/users.csv?target=erp&state=active")
        .await;
    assert_eq!(
        response.status(),
        StatusCode::OK,
        "the header is on its way"
    );
    assert!(
        response.text().await.is_err(),
        "a file that was cut short ends in an error"
    );
    pages.server.stop().await;
}

#[tokio::test]
async fn a_hundred_thousand_people_are_paged_by_two_requests() {
    let recipe = Recipe {
        internal: 2_000,
        portal: 100_000,
        keys_per_hundred: 1,
        ..Recipe::new(19, 8)
    };
    let world = odoo_simulator::World::build(&recipe, odoo_simulator::Clock::fixed(NOW));
    let staged = Staged::new(world, AccountKind::Full, "").await;
    let pages = Pages::staged(&staged).await;
    let posture = &staged.posture;
    let number = posture.eligible.0.iter().sum::<u64>()
        - posture.protected.expect("known").0.iter().sum::<u64>();
    assert!(number > 70_000);
    let last = number.div_ceil(50);
    for page_number in [1, 2, last / 2, last] {
        let before = staged.database.log().total();
        let (status, page) = pages
            .page("olga", &format!("/users?target=erp&page={page_number}"))
            .await;
        assert_eq!(status, StatusCode::OK);
        assert!(
            page.contains(&format!("Page {page_number} of {last}")),
            "{page_number}"
        );
        let listed = rows(&page, "aria-label=\"Users\"").len() as u64;
        assert_eq!(
            listed,
            if page_number == last {
                number - 50 * (last - 1)
            } else {
                50
            }
        );
        let sorted = u64::from(page_number == 1);
        assert_eq!(staged.database.log().total() - before, 1 + sorted);
        assert!(page.len() < 100_000, "{}", page.len());
    }
    let csv = pages
        .get("olga", "/users.csv?target=erp")
        .await
        .text()
        .await
        .expect("all of it");
    assert_eq!(csv.lines().count() as u64, number + 1);
    pages.server.stop().await;
}

#[tokio::test]
async fn the_report_names_users_for_those_who_may_read_names() {
    let mut world = lived_in(&Recipe::new(19, 4));
    let admin = world.hire_at(Kind::Internal, NOW - 100 * DAY);
    world.grant(admin, "base.group_system");
    world.rename(admin, "admin-2@example.com", "<script>alert('x')</script>");
    let staged = Staged::new(world, AccountKind::Full, "").await;
    let pages = Pages::staged(&staged).await;
    let (status, named) = pages.page("olga", "/report").await;
    assert_eq!(status, StatusCode::OK);
    for part in [
        "admin-2@example.com",
        "The report names users",
        "<h3>Coverage</h3>",
        "saw ",
    ] {
        assert!(named.contains(part), "{part} is not in {named}");
    }
    assert!(
        !named.contains("<script") && !named.contains("<style"),
        "{named}"
    );
    let (_, counted) = pages.page("rolf", "/report").await;
    assert!(counted.contains("The report names no users"), "{counted}");
    let logins = |world: &World| -> Vec<String> {
        let logins = world.people().map(|it| it.login());
        logins.filter(|it| it.contains('@')).collect()
    };
    for login in logins(&staged.database.world()) {
        assert!(!counted.contains(&login), "{login}");
    }
    let (_, summary) = pages
        .page("rolf", "/report?parts=summary&severity=critical")
        .await;
    assert!(!summary.contains("<h3>Coverage</h3>"), "{summary}");
    assert!(summary.contains("critical findings") && !summary.contains("k-keys_old"));
    let (status, _) = pages.page("rolf", "/report?severty=critical").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let style = pages.get("rolf", "/report.css").await;
    assert_eq!(
        style.headers()[header::CONTENT_TYPE],
        "text/css; charset=utf-8"
    );
    assert!(style.text().await.expect("text").contains("counter(page)"));
    pages.server.stop().await;
}

#[tokio::test]
async fn the_report_of_a_target_that_is_down_says_why() {
    let shown = Shown::new([down("crm"), pending("new"), up("good")]);
    let pages = Pages::of(&shown, None).await;
    let (_, page) = pages.page("rolf", "/report").await;
    assert!(page.contains("0 of 3</strong> targets read"), "{page}");
    assert!(page.contains("Not read (auth)"), "{page}");
    let (_, page) = pages.page("rolf", "/report?target=crm").await;
    assert!(page.contains("0 of 1</strong> targets read"), "{page}");
    pages.server.stop().await;
}

#[tokio::test]
async fn changes_and_history_come_from_the_store_and_say_when_it_cannot_be_read() {
    use tokio_util::sync::CancellationToken;
    // The pages show what was recorded within a range that ends now.
    let clock = odoo_simulator::Clock::system();
    let mut world = odoo_simulator::World::build(&Recipe::new(19, 9), clock);
    let person = world.hire(Kind::Internal);
    world.rename(person, "ada@company.example", "Ada & Co");
    let account = world.add_account(AccountKind::Full, "auditor");
    let server = odoo_simulator::SimServer::start(odoo_simulator::ServerOptions::new(19))
        .await
        .expect("a free port");
    let database = server.add_database("prod", world);
    let config = crate::harness::target::config(&format!(
        "defaults: {{interval: 3s, timeout: 2900ms}}\ntargets: [{{name: erp, url: '{}', database: prod, api_key: {}}}]",
        server.url(),
        account.api_key
    ));
    let _ = rustls::crypto::ring::default_provider().install_default();
    let store = Store::open(Location::Memory, Kept::default()).expect("a store in memory");
    let settings = odoo_mfa_exporter::runtime::Settings {
        access: access(),
        ..crate::harness::settings(Some(store))
    };
    let daemon = odoo_mfa_exporter::runtime::Daemon::prepare(&config, settings)
        .await
        .expect("a free port");
    let address = daemon.address().expect("an address");
    let stop = CancellationToken::new();
    let running = tokio::spawn(daemon.run(stop.clone()));
    let page = async |user: &str, path: &str| {
        let password: String = user.chars().rev().collect();
        let request = client()
            .get(format!("http://{address}{path}"))
            .header(header::AUTHORIZATION, basic(user, &password));
        request.send().await.ok()?.text().await.ok()
    };
    crate::harness::eventually("the first poll has ended", async || {
        page("rolf", "/targets/erp")
            .await
            .filter(|page| page.contains("<h3>Coverage</h3>"))
    })
    .await;
    database.world_mut().enroll(person);
    let changes = crate::harness::eventually("the change is logged", async || {
        page("olga", "/changes?target=erp")
            .await
            .filter(|page| page.contains("\"What\">mfa enrolled"))
    })
    .await;
    let table = rows(&changes, "role=\"region\" aria-label=\"Changes\"");
    assert_eq!(
        table[0][1..],
        [
            "mfa enrolled",
            "Ada &#38; Co (ada@company.example)",
            "internal",
            "totp"
        ]
    );
    let counted = page("rolf", "/changes?target=erp").await.expect("a page");
    assert!(
        counted.contains("\"What\">mfa enrolled") && !counted.contains("ada@"),
        "{counted}"
    );
    let target = page("rolf", "/targets/erp?range=7d").await.expect("a page");
    assert!(
        target.contains("aria-label=\"Users protected, in percent. Internal users: from"),
        "{target}"
    );
    assert!(target.contains("<span class=\"ok\">OK</span>"), "{target}");
    let fleet = page("rolf", "/").await.expect("a page");
    assert!(fleet.contains("<svg class=\"spark\""), "{fleet}");
    // A failing poll takes the numbers away and says why, with what to do.
    database.fail(Fault::AccessDenied);
    let down = crate::harness::eventually("the poll fails", async || {
        page("rolf", "/targets/erp")
            .await
            .filter(|page| page.contains("Down: auth"))
    })
    .await;
    assert!(
        down.contains("Odoo refuses the API key") && down.contains("create a new API key"),
        "{down}"
    );
    assert!(!down.contains("<h3>Coverage</h3>"), "{down}");
    let alerts = page("rolf", "/alerts").await.expect("a page");
    assert!(alerts.contains("OdooMfaWatchdog"), "{alerts}");
    stop.cancel();
    tokio::time::timeout(Duration::from_secs(20), running)
        .await
        .expect("it ends")
        .expect("no panic")
        .expect("a clean end");
}

#[tokio::test]
async fn the_fleets_users_are_named_for_those_who_may_read_names_and_counted_for_others() {
    let mut world = lived_in(&Recipe::new(19, 6));
    let hostile = world.hire_at(Kind::Internal, NOW - 100 * DAY);
    world.rename(
        hostile,
        "a\"><img src=x>@mail.example",
        "<script>alert('x')</script>",
    );
    world.grant(hostile, "base.group_system");
    let worlds = vec![
        ("crm", world, AccountKind::Full),
        ("erp", lived_in(&Recipe::new(19, 7)), AccountKind::Full),
    ];
    let fleet = StagedFleet::new(worlds, "", vec![down("<lost>")]).await;
    let shown = Shown::with(Arc::clone(&fleet.board), Arc::clone(&fleet.directory));
    let pages = Pages::of(&shown, None).await;
    let admins = "/users?state=unprotected&role=administrators";
    let number: u64 = fleet
        .postures
        .iter()
        .map(|it| {
            it.privileged
                .as_ref()
                .and_then(|it| it.unprotected_admins)
                .expect("known")
        })
        .sum();
    let requests = || {
        fleet
            .databases
            .iter()
            .map(|it| it.log().total())
            .sum::<u64>()
    };

    let (status, page) = pages.page("olga", admins).await;
    assert_eq!(status, StatusCode::OK);
    let region = "role=\"region\" aria-label=\"Users\"";
    assert_eq!(rows(&page, region).len() as u64, number);
    for expected in [
        "1 of 3 targets is missing in this list",
        "&#60;lost&#62;</a>: the last poll failed: auth ",
        "&#60;script&#62;alert",
        "Remove the filter </span>role: administrators",
    ] {
        assert!(page.contains(expected), "{expected} is not in {page}");
    }
    for markup in ["<script", "<img src=x", "<lost>"] {
        assert!(!page.contains(markup), "{markup} is in {page}");
    }
    assert!(
        page.contains(
            "  - {login: &#34;a\\&#34;&#62;&#60;img src=x&#62;@mail.example&#34;, reason: service}"
        ),
        "{page}"
    );

    let before = requests();
    let (status, page) = pages.page("rolf", admins).await;
    assert_eq!(status, StatusCode::OK);
    assert!(page.contains("web.roles.read_names"), "{page}");
    for name in ["@mail.example", "/odoo/users/", "@company.example"] {
        assert!(!page.contains(name), "{name} is in {page}");
    }
    let per_target = rows(&page, "id=\"per-target\"");
    let known: u64 = per_target
        .iter()
        .filter_map(|row| row[1].parse::<u64>().ok())
        .sum();
    assert_eq!(known, number, "{per_target:?}");
    assert!(
        per_target
            .iter()
            .any(|row| row[1] == "Unknown: the last poll failed: auth")
    );
    assert_eq!(requests(), before, "numbers ask Odoo nothing");
    for path in ["/users.csv", "/keys.csv", "/api/v1/users", "/api/v1/keys"] {
        assert_eq!(
            pages.get("rolf", path).await.status(),
            StatusCode::FORBIDDEN,
            "{path}"
        );
    }

    // Numbers lead to their lists.
    let (_, overview) = pages.page("rolf", "/").await;
    let figure = format!(
        "<a href=\"./users?state=unprotected&#38;role=administrators\"><span class=\"label\">Administrators without MFA</span> <strong class=\"bad\">{number}</strong> <small>known on 2 of 3 targets</small>"
    );
    assert!(overview.contains(&figure), "{figure} is not in {overview}");
    let (status, page) = pages
        .page("olga", "/keys?state=of_privileged&state=of_archived")
        .await;
    assert_eq!(status, StatusCode::OK, "{page}");
    let (status, page) = pages.page("olga", "/users?state=nobody").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(page.contains("not one of active"), "{page}");
    let csv = pages.get("rolf", "/targets.csv?state=up").await;
    assert_eq!(csv.status(), StatusCode::OK);
    assert_eq!(csv.text().await.expect("text").lines().count(), 3);
    pages.server.stop().await;
}

#[tokio::test]
async fn a_reader_signs_in_comes_back_to_the_page_and_signs_out() {
    let shown = Shown::new([up("erp")]);
    let pages = Pages::of(&shown, None).await;
    let browser = async |path: &str| {
        let request = client()
            .get(pages.server.url(path))
            .header(header::ACCEPT, "text/html,application/xhtml+xml,*/*;q=0.8");
        request.send().await.expect("an answer")
    };
    let response = browser("/users?state=active").await;
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert!(response.headers().contains_key(header::WWW_AUTHENTICATE));
    let page = response.text().await.expect("text");
    assert!(
        page.contains("href=\"./sign-in?next=%2Fusers%3Fstate%3Dactive\""),
        "{page}"
    );
    assert!(
        !page.contains("Version ") && !page.contains("erp"),
        "nothing is shown to a stranger: {page}"
    );

    for (next, location) in [
        ("%2Fusers%3Fstate%3Dactive", "./users?state=active"),
        ("%2F%2Fevil.example%2F", "./"),
        ("https%3A%2F%2Fevil.example%2F", "./"),
        ("%2F%5Cevil.example", "./"),
    ] {
        let response = pages.get("olga", &format!("/sign-in?next={next}")).await;
        assert_eq!(response.status(), StatusCode::SEE_OTHER, "{next}");
        assert_eq!(response.headers()[header::LOCATION], location, "{next}");
    }
    let (_, page) = pages.page("olga", "/").await;
    assert!(
        page.contains("<a href=\"./sign-out\">Sign out</a>"),
        "{page}"
    );
    let out = pages.get("olga", "/sign-out").await;
    assert_eq!(out.status(), StatusCode::UNAUTHORIZED);
    assert!(out.headers().contains_key(header::WWW_AUTHENTICATE));

    // Errors are a page for a browser, and a line or a problem for a program.
    let password: String = "rolf".chars().rev().collect();
    for (path, status, text) in [
        ("/nothing/here", 404, "<h1>Not found</h1>"),
        ("/users.csv", 403, "<h1>Not allowed</h1>"),
        ("/users?state=gone", 400, "<h1>Invalid request</h1>"),
    ] {
        let request = client()
            .get(pages.server.url(path))
            .header(header::ACCEPT, "text/html")
            .header(header::AUTHORIZATION, basic("rolf", &password));
        let response = request.send().await.expect("an answer");
        assert_eq!(response.status().as_u16(), status, "{path}");
        let page = response.text().await.expect("text");
        assert!(
            page.contains(text) && page.contains("./-/style.css"),
            "{path}: {page}"
        );
    }
    let line = pages.get("rolf", "/nothing/here").await;
    assert_eq!(line.text().await.expect("text"), "not found\n");
    pages.server.stop().await;
}
