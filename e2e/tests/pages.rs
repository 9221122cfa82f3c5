//! The pages in Chromium, on the real program.

use std::collections::BTreeSet;

use fantoccini::Locator;
use fantoccini::key::Key;
use odoo_mfa_exporter_e2e::{Browser, Exporter, OFFICER, Password, READER, Scheme, eventually};

const SCREEN: u32 = 1440;
const PHONE: u32 = 390;

/// Texts of everything that a selector finds, in order: of one moment, for a page may be replaced by the next.
async fn texts(browser: &Browser, selector: &str) -> Vec<String> {
    let script = "return [...document.querySelectorAll(arguments[0])].map(it => it.innerText)";
    let found = eventually("a page that stays", async || {
        let found = browser.client.execute(script, vec![selector.into()]).await;
        found.ok()
    })
    .await;
    serde_json::from_value(found).expect("texts")
}

/// Signs in as a user who types the password. With a password in its own URL, Chromium shows the page after the redirect without it.
async fn sign_in(browser: &Browser, exporter: &Exporter, who: &Password) {
    browser.open(&exporter.url_as(who, "/sign-in")).await;
    browser.open(&exporter.url("/")).await;
}

async fn click(browser: &Browser, locator: Locator<'_>) {
    let element = browser
        .client
        .find(locator)
        .await
        .unwrap_or_else(|_| panic!("no {locator:?}"));
    element.click().await.expect("it can be clicked");
}

async fn text(browser: &Browser, selector: &str) -> String {
    texts(browser, selector).await.join(" ")
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_is_accessible_fits_and_says_nothing_in_the_console() {
    let exporter = Exporter::with_fleet_down(80, 0.03).await;
    let browser = Browser::start().await;
    let officer = Exporter::sign_in(OFFICER);
    let sim = "/targets/sim-00007";
    let pages = [
        ("fleet", "/".to_owned()),
        ("alerts", "/alerts".to_owned()),
        ("report", "/report".to_owned()),
        ("target", sim.to_owned()),
        ("users", "/users".to_owned()),
        (
            "users-by-name",
            "/users?state=unprotected&role=administrators&sort=name".to_owned(),
        ),
        (
            "users-of-one",
            "/users?target=sim-00007&state=active".to_owned(),
        ),
        ("keys", "/keys".to_owned()),
        ("keys-of-one", "/keys?target=sim-00007".to_owned()),
        ("changes", "/changes".to_owned()),
        ("not-found", "/targets/unknown".to_owned()),
        ("not-understood", "/?sort=best".to_owned()),
    ];
    for signed_in in [false, true] {
        if signed_in {
            sign_in(&browser, &exporter, &officer).await;
        }
        for (width, scheme) in [
            (SCREEN, Scheme::Light),
            (SCREEN, Scheme::Dark),
            (PHONE, Scheme::Light),
            (PHONE, Scheme::Dark),
        ] {
            browser.look(width, scheme).await;
            for (name, path) in &pages {
                // Signed out, only what then looks different.
                if !signed_in && !["fleet", "users", "keys", "changes"].contains(name) {
                    continue;
                }
                let reader = if signed_in { "" } else { "-signed-out" };
                let what = format!("{name}{reader}-{width}-{}", scheme.as_str());
                browser.open(&exporter.url(path)).await;
                browser.picture(&what).await;
                assert_eq!(browser.violations().await, Vec::<String>::new(), "{what}");
                let overflow = browser
                    .run(
                        "const e = document.scrollingElement; return e.scrollWidth - e.clientWidth",
                    )
                    .await;
                assert_eq!(overflow, 0, "{what} is wider than its screen");
                let color = browser
                    .run("return getComputedStyle(document.body).backgroundColor")
                    .await;
                let expected = if scheme == Scheme::Dark {
                    "rgb(21, 24, 28)"
                } else {
                    "rgb(255, 255, 255)"
                };
                assert_eq!(color, expected, "{what}");
                let errors = browser.errors().await;
                // Chromium remarks on the status of a page that says what is wrong.
                let unexpected: Vec<_> = errors
                    .iter()
                    .filter(|it| {
                        !name.starts_with("not-")
                            || !it.contains("the server responded with a status of 40")
                    })
                    .collect();
                assert!(unexpected.is_empty(), "{what}: {unexpected:?}");
            }
        }
    }
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_fleet_is_sorted_filtered_and_paged_and_says_what_the_metrics_say() {
    let exporter = Exporter::with_fleet(60).await;
    let browser = Browser::start().await;
    browser.look(SCREEN, Scheme::Light).await;
    let coverage = exporter
        .samples("odoo_mfa_coverage_ratio", "user_type")
        .await;
    let eligible = exporter
        .samples("odoo_mfa_eligible_users", "user_type")
        .await;
    let internal = |target: &str| {
        coverage
            .get(&(target.to_owned(), "internal".to_owned()))
            .copied()
    };
    browser.open(&exporter.url("/")).await;
    let figures = text(&browser, ".figures").await;
    assert!(
        figures.contains("Targets up") && figures.contains("60"),
        "{figures}"
    );

    click(&browser, Locator::LinkText("Internal users protected")).await;
    let mut names = texts(&browser, "tbody th a").await;
    let sorted = text(&browser, "th[aria-sort=ascending]").await;
    assert_eq!(sorted, "Internal users protected");
    let shown = texts(&browser, "tbody td:nth-of-type(3)").await;
    for (name, shown) in names.iter().zip(&shown) {
        let ratio = internal(name).expect("a sample");
        let percent: f64 = shown
            .trim()
            .split('%')
            .next()
            .and_then(|it| it.parse().ok())
            .expect("a share");
        // Shown is rounded down to a tenth of a percent.
        assert!(
            (0.0..0.1).contains(&(100.0 * ratio - percent + 1e-6)),
            "{name}: {ratio} is shown as {shown}"
        );
        let people = eligible[&(name.clone(), "internal".to_owned())];
        assert!(shown.contains(&format!("of {people})")), "{name}: {shown}");
    }
    click(&browser, Locator::LinkText("Next")).await;
    names.extend(texts(&browser, "tbody th a").await);
    let ratios: Vec<f64> = names
        .iter()
        .map(|name| internal(name).expect("a sample"))
        .collect();
    assert!(ratios.is_sorted(), "{ratios:?}");
    assert_eq!(
        names.iter().collect::<BTreeSet<_>>().len(),
        60,
        "every target once"
    );

    // By the keyboard alone: the first stop skips the navigation, and the form is sent by Enter.
    browser.open(&exporter.url("/")).await;
    let body = browser
        .client
        .find(Locator::Css("body"))
        .await
        .expect("a body");
    body.send_keys(&Key::Tab.to_string()).await.expect("a key");
    assert_eq!(
        browser
            .run("return document.activeElement.textContent")
            .await,
        "Skip to the content"
    );
    let outline = browser
        .run("return getComputedStyle(document.activeElement).outlineStyle")
        .await;
    assert_eq!(outline, "solid", "where the focus is can be seen");
    let field = browser
        .client
        .find(Locator::Css("#q"))
        .await
        .expect("a field");
    field
        .send_keys(&format!("sim-0003{}", Key::Enter))
        .await
        .expect("keys");
    eventually("the list is filtered", async || {
        (texts(&browser, "tbody th a").await.len() == 10).then_some(())
    })
    .await;
    let stops = browser.run("return [...document.querySelectorAll('a, button, input, select, summary, [tabindex=\"0\"]')].filter(e => e.tabIndex < 0).length").await;
    assert_eq!(stops, 0, "everything that can be used can be reached");
    assert_eq!(browser.errors().await, Vec::<String>::new());
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn names_want_a_reader_who_signs_in_and_may_read_them() {
    let exporter = Exporter::with_fleet(12).await;
    let browser = Browser::start().await;
    browser.look(SCREEN, Scheme::Light).await;
    let target = "sim-00003";
    let people = format!("/users?target={target}&state=active");
    let users = exporter
        .samples("odoo_mfa_eligible_users", "user_type")
        .await;
    let metric: f64 = users
        .iter()
        .filter(|((name, _), _)| name == target)
        .map(|(_, number)| number)
        .sum();

    browser.open(&exporter.url(&people)).await;
    assert!(
        text(&browser, ".note")
            .await
            .contains("web.roles.read_names")
    );
    assert_eq!(
        texts(
            &browser,
            "main a[href*='/odoo/users/'], main a[href*='/web#id=']"
        )
        .await
        .len(),
        0
    );
    let everybody = "//tr[th[starts-with(., 'All active users')]]/td[1]";
    let number = browser
        .client
        .find(Locator::XPath(everybody))
        .await
        .expect("a number")
        .text()
        .await
        .expect("text");
    assert_eq!(
        number.replace(',', "").parse::<f64>().expect("a number"),
        metric
    );

    sign_in(&browser, &exporter, &Exporter::sign_in(READER)).await;
    assert!(
        text(&browser, ".who")
            .await
            .contains("Signed in as rolf, without names")
    );
    browser.open(&exporter.url(&people)).await;
    assert!(
        text(&browser, ".note")
            .await
            .contains("web.roles.read_names")
    );
    browser.close().await;

    // Another browser: a browser keeps a password until it is closed.
    let browser = Browser::start().await;
    browser.look(SCREEN, Scheme::Light).await;
    sign_in(&browser, &exporter, &Exporter::sign_in(OFFICER)).await;
    assert!(text(&browser, ".who").await.contains("Signed in as olga"));
    browser.open(&exporter.url(&people)).await;
    let mut logins = BTreeSet::new();
    loop {
        let shown = texts(
            &browser,
            "[role=region][aria-label=Users] tbody td:nth-of-type(1)",
        )
        .await;
        assert!(
            shown
                .iter()
                .all(|login| login.contains('@') || login == "mfa-auditor" || login == "admin"),
            "{shown:?}"
        );
        logins.extend(shown);
        if browser
            .client
            .find(Locator::LinkText("Next"))
            .await
            .is_err()
        {
            break;
        }
        click(&browser, Locator::LinkText("Next")).await;
    }
    assert_eq!(
        logins.len() as f64,
        metric,
        "the list is as long as the metric says"
    );
    click(&browser, Locator::LinkText("Login")).await;
    let sorted = texts(
        &browser,
        "[role=region][aria-label=Users] tbody td:nth-of-type(1)",
    )
    .await;
    click(&browser, Locator::LinkText("Login")).await;
    assert_eq!(text(&browser, "th[aria-sort=descending]").await, "Login");
    let descending = texts(
        &browser,
        "[role=region][aria-label=Users] tbody td:nth-of-type(1)",
    )
    .await;
    assert!(sorted[0] < descending[0], "{sorted:?} {descending:?}");
    let form = browser
        .client
        .find(Locator::Css("[role=region][aria-label=Users] tbody th a"))
        .await
        .expect("a link");
    let form = form
        .attr("href")
        .await
        .expect("an attribute")
        .expect("an address");
    assert!(
        form.contains("/odoo/users/") || form.contains("/web#id="),
        "{form}"
    );

    let downloads = tempfile::tempdir().expect("a directory");
    browser.download_to(downloads.path()).await;
    click(&browser, Locator::Css("a[download]")).await;
    let saved = eventually("the file is saved", async || {
        let file = std::fs::read_dir(downloads.path())
            .ok()?
            .find_map(|it| Some(it.ok()?.path()))?;
        let name = file.file_name()?.to_str()?.to_owned();
        assert!(
            name.ends_with("crdownload") || name.starts_with(&format!("users-active-{target}-20")),
            "{name}"
        );
        let file = std::fs::read_to_string(file).ok()?;
        (file.lines().count() as f64 > metric).then_some(file)
    })
    .await;
    assert!(saved.starts_with("target,id,name,login,"), "{saved}");
    let rows: BTreeSet<String> = saved
        .lines()
        .skip(1)
        .filter_map(|line| Some(line.split(',').nth(3)?.to_owned()))
        .collect();
    assert_eq!(rows, logins);

    browser
        .open(&exporter.url(&format!("/keys?target={target}")))
        .await;
    let keys = exporter.samples("odoo_api_keys", "scope").await;
    let metric: f64 = keys
        .iter()
        .filter(|((name, _), _)| name == target)
        .map(|(_, number)| number)
        .sum();
    let rows = texts(&browser, "[role=region][aria-label='API keys'] tbody tr").await;
    assert_eq!(rows.len() as f64, metric);
    let ages: Vec<u32> = texts(&browser, "[role=region][aria-label='API keys'] tbody td.n")
        .await
        .iter()
        .map(|age| age.parse().expect("days"))
        .collect();
    assert!(
        ages.is_sorted_by(|a, b| a >= b),
        "the oldest first: {ages:?}"
    );
    assert_eq!(browser.errors().await, Vec::<String>::new());
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demos_sample_reader_signs_in_and_follows_a_finding_to_its_people() {
    let (exporter, reader) = Exporter::demo().await;
    let browser = Browser::start().await;
    browser.look(SCREEN, Scheme::Light).await;
    sign_in(&browser, &exporter, &reader).await;
    let who = text(&browser, ".who").await;
    assert!(
        who.contains(&format!("Signed in as {}", reader.user)),
        "{who}"
    );
    click(&browser, Locator::LinkText("healthy19")).await;
    let link = "main a[href*='finding=']";
    let concerned = text(&browser, &format!("{link}:first-of-type")).await;
    let number: String = concerned.chars().take_while(char::is_ascii_digit).collect();
    click(&browser, Locator::Css(link)).await;
    let rows = texts(&browser, "[role=region][aria-label=Users] tbody tr").await;
    assert!(
        !rows.is_empty() && !number.is_empty(),
        "{concerned} {rows:?}"
    );
    // The target that goes down and comes back says why, and shows no number meanwhile.
    let down = eventually("flaky15 is down", async || {
        browser.open(&exporter.url("/targets/flaky15")).await;
        let alert = text(&browser, "[role=alert]").await;
        alert.contains("Down: ").then_some(alert)
    })
    .await;
    assert!(down.contains("What to do:"), "{down}");
    assert_eq!(
        texts(&browser, "h3")
            .await
            .iter()
            .filter(|it| *it == "Coverage")
            .count(),
        0
    );
    browser.picture("down-1440-light").await;
    browser.open(&exporter.url("/users?target=flaky15")).await;
    assert!(
        text(&browser, "main")
            .await
            .contains("The list is not available")
    );
    assert_eq!(browser.violations().await, Vec::<String>::new());
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_comes_back_to_the_filtered_page_and_signs_out() {
    let exporter = Exporter::with_fleet(12).await;
    let browser = Browser::start().await;
    browser.look(SCREEN, Scheme::Light).await;
    let officer = Exporter::sign_in(OFFICER);
    let page = "/users?state=unprotected&role=administrators";
    browser.open(&exporter.url(page)).await;
    let link = browser
        .client
        .find(Locator::LinkText("Sign in"))
        .await
        .expect("a link")
        .attr("href")
        .await
        .expect("an attribute")
        .expect("an address");
    let next = link.strip_prefix('.').expect("a path below the root");
    browser.open(&exporter.url_as(&officer, next)).await;
    let address = browser.client.current_url().await.expect("an address");
    assert_eq!(
        (address.path(), address.query()),
        ("/users", Some("state=unprotected&role=administrators"))
    );
    browser.open(&exporter.url(page)).await;
    assert!(text(&browser, ".who").await.contains("Signed in as olga"));
    let rows = texts(&browser, "[role=region][aria-label=Users] tbody tr").await;
    assert!(!rows.is_empty());
    browser.picture("users-signed-in-1440-light").await;

    browser.open(&exporter.url("/sign-out")).await;
    browser.open(&exporter.url(page)).await;
    assert!(text(&browser, ".who").await.contains("Not signed in"));
    let list = texts(&browser, "[role=region][aria-label=Users]").await;
    assert!(list.is_empty(), "{list:?}");
    browser.close().await;
}
