//! Behind a reverse proxy that serves the exporter below a path: a real nginx.

use std::collections::BTreeSet;
use std::sync::Arc;

use odoo_mfa_exporter::config::Web;
use odoo_mfa_exporter::store::{Limits as Kept, Location, Store};
use odoo_mfa_exporter::web::Limits;
use odoo_mfa_exporter::web::access::Access;
use odoo_simulator::{AccountKind, Recipe};
use reqwest::{StatusCode, Url, header};
use serde_json::Value;

use crate::access::{basic, list, users, web};
use crate::harness::exporter::{Server, Shown, client};
use crate::harness::nginx::Nginx;
use crate::harness::staged::{Staged, lived_in};

const BELOW: &str = "/odoo-mfa/";

/// The values of an attribute, as a browser reads them.
fn values<'a>(page: &'a str, attribute: &str) -> impl Iterator<Item = String> + 'a {
    page.split(&format!(" {attribute}=\""))
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .map(|value| value.replace("&#38;", "&"))
        .collect::<Vec<_>>()
        .into_iter()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_link_leads_somewhere_below_the_proxys_path() {
    let staged = Staged::new(lived_in(&Recipe::new(19, 4)), AccountKind::Full, "").await;
    let directory = tempfile::tempdir().expect("a directory");
    let roles = Web {
        read_names: list(&["olga"]),
        external_url: Some(
            "https://proxy.example.com:8443/odoo-mfa/"
                .parse()
                .expect("a URL"),
        ),
        ..Web::default()
    };
    let access = Access::new(&roles, web(directory.path(), &users(&["olga"])));
    let access = access.expect("she can sign in");
    let shown = Shown::with(Arc::clone(&staged.board), Arc::clone(&staged.directory));
    let store = Store::open(Location::Memory, Kept::default()).expect("a store in memory");
    let routes = shown.routes_for(access.clone(), Some(store)).0;
    let server = Server::start_behind(access, Limits::default(), routes).await;
    let rules = format!(
        "location {BELOW} {{ proxy_pass http://{}/; }}",
        server.address
    );
    let nginx = Nginx::start(server.address, &rules).await;

    let get = async |url: &Url| {
        let request = client().get(url.clone());
        let request = request.header(header::AUTHORIZATION, basic("olga", "aglo"));
        request.send().await.expect("an answer")
    };
    let first: Url = format!("{}{BELOW}", nginx.url()).parse().expect("a URL");
    let mut known = BTreeSet::from([first.clone()]);
    let mut open = vec![
        first.clone(),
        first.join("targets/missing").expect("a URL"),
        first.join("?sort=best").expect("a URL"),
    ];
    let mut kinds = BTreeSet::new();
    while let Some(url) = open.pop() {
        let response = get(&url).await;
        let status = response.status();
        assert!(
            status.is_success()
                || status == StatusCode::SEE_OTHER
                || url.path().contains("missing")
                || url.path().ends_with("/sign-out")
                || url.query() == Some("sort=best"),
            "{url}: {status}"
        );
        if let Some(location) = response.headers().get(header::LOCATION) {
            let location = url.join(location.to_str().expect("text")).expect("a URL");
            assert_eq!(location.path(), BELOW, "{url}");
        }
        let kind = response.headers()[header::CONTENT_TYPE]
            .to_str()
            .expect("text")
            .to_owned();
        let page = response.text().await.expect("text");
        kinds.insert(kind.clone());
        if kind != "text/html; charset=utf-8" {
            continue;
        }
        let root = values(&page, "href").next().expect("a base");
        let base = url.join(&root).expect("a URL");
        assert_eq!(base, first, "{url}");
        for link in values(&page, "href").skip(1).chain(values(&page, "action")) {
            let mut link = base.join(&link).unwrap_or_else(|_| panic!("{url}: {link}"));
            if link.fragment().is_some() {
                link.set_fragment(None);
                assert_eq!(link, url, "the link within the page");
            }
            // Forms in Odoo and runbooks are elsewhere.
            if link.origin() != first.origin() {
                continue;
            }
            assert!(link.path().starts_with(BELOW), "{url}: {link}");
            // Of a list in any order, once.
            let seen = known.len() > 150 || !known.insert(link.clone());
            if !seen {
                open.push(link);
            }
        }
    }
    assert!(known.len() > 40, "{known:?}");
    for kind in [
        "text/css",
        "image/svg+xml",
        "text/csv",
        "text/plain",
        "text/html",
    ] {
        assert!(
            kinds.iter().any(|it| it.starts_with(kind)),
            "{kind} is not in {kinds:?}"
        );
    }

    let discovered: Value = get(&first.join("sd").expect("a URL"))
        .await
        .json()
        .await
        .expect("JSON");
    let labels = &discovered[0]["labels"];
    assert_eq!(discovered[0]["targets"][0], "proxy.example.com:8443");
    assert_eq!(labels["__scheme__"], "https");
    assert_eq!(labels["__metrics_path__"], "/odoo-mfa/probe");
    let document = first.join("api/v1/openapi.json").expect("a URL");
    let described: Value = get(&document).await.json().await.expect("JSON");
    assert_eq!(
        described["servers"][0]["url"],
        "https://proxy.example.com:8443/odoo-mfa"
    );
    server.stop().await;
}
