//! Exposed endpoints through nginx, which blocks what operators block, in front of each version.

use jiff::Timestamp;
use odoo_mfa_exporter::domain::Endpoint;
use odoo_mfa_exporter::domain::surface::{Exposure, Seen};
use odoo_mfa_exporter::odoo::Clients;
use odoo_mfa_exporter::odoo::surface::check_all;
use odoo_simulator::{Clock, Recipe, ServerOptions, SimServer, World};

use crate::harness::nginx::Nginx;
use crate::harness::target::from_yaml;

/// Results of a vantage point behind nginx with these rules.
async fn seen(version: u8, list_databases: bool, rules: &str) -> impl Fn(Endpoint) -> Seen + use<> {
    let options = ServerOptions {
        list_databases,
        ..ServerOptions::new(version)
    };
    let server = SimServer::start(options).await.expect("a server");
    server.add_database(
        "prod",
        World::build(&Recipe::new(version, 1), Clock::system()),
    );
    let nginx = Nginx::start(server.address(), rules).await;
    let (target, _) = from_yaml(&format!(
        "{{name: erp, url: '{}', database: prod, login: poller, api_key: secret, surface: {{vantages: [{{name: outside, expect_blocked: []}}]}}}}",
        nginx.url()
    ));
    let checked = check_all(&Clients::default(), &target, Timestamp::UNIX_EPOCH).await;
    let endpoints = checked[0].endpoints.clone();
    move |endpoint| endpoints[endpoint as usize].1.clone()
}

fn blocks(paths: &[&str]) -> String {
    let rule = |path: &&str| format!("location {path} {{ return 403; }}\n");
    paths.iter().map(rule).collect()
}

#[tokio::test]
async fn a_rule_for_one_path_leaves_the_others_open() {
    for version in 14..=20 {
        let has_db = version < 20;

        let seen_at = seen(version, true, &blocks(&["/xmlrpc/2"])).await;
        let xmlrpc = seen_at(Endpoint::Xmlrpc);
        assert_eq!(xmlrpc.exposure, Exposure::Exposed, "{version}");
        let open = if has_db {
            "/xmlrpc/common, /xmlrpc/object, /xmlrpc/db"
        } else {
            "/xmlrpc/common, /xmlrpc/object"
        };
        assert_eq!(xmlrpc.why, format!("{open}: answers an XML-RPC call"));

        let seen_at = seen(version, true, &blocks(&["/web/database"])).await;
        let list = seen_at(Endpoint::DatabaseList);
        if has_db {
            assert_eq!(list.exposure, Exposure::Exposed, "{version}");
            assert_eq!(
                list.why,
                "/xmlrpc/db, /xmlrpc/2/db, /jsonrpc: returns the names of 1 database"
            );
        } else {
            assert_eq!(list.exposure, Exposure::Blocked, "{version}: {}", list.why);
        }
        let manager = seen_at(Endpoint::DatabaseManager);
        assert_eq!(manager.exposure, Exposure::Blocked);

        // Both, but for one path.
        let all = ["/web/database", "/jsonrpc", "/xmlrpc/2", "/xmlrpc/common"];
        let seen_at = seen(version, true, &blocks(&all)).await;
        assert_eq!(seen_at(Endpoint::Jsonrpc).exposure, Exposure::Blocked);
        let xmlrpc = seen_at(Endpoint::Xmlrpc);
        assert_eq!(xmlrpc.exposure, Exposure::Exposed);
        assert!(xmlrpc.why.starts_with("/xmlrpc/object"), "{}", xmlrpc.why);
    }
}

#[tokio::test]
async fn an_endpoint_is_blocked_if_all_of_its_paths_are() {
    for version in 14..=20 {
        let rules = blocks(&["/xmlrpc", "/jsonrpc", "/json", "/web/database"]);
        let seen_at = seen(version, true, &rules).await;
        for endpoint in Endpoint::ALL {
            let seen = seen_at(*endpoint);
            assert_eq!(seen.exposure, Exposure::Blocked, "{version} {endpoint}");
            assert_eq!(seen.why, "answers 403, unlike Odoo");
        }

        // Without a rule, list_db = False closes each path of the list.
        let list = seen(version, false, "").await(Endpoint::DatabaseList);
        assert_eq!(list.exposure, Exposure::Blocked, "{version}: {}", list.why);
    }
}
