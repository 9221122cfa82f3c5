//! A running daemon takes no change that lets in a client whom it keeps out: above all no file that is read while it is written.

use std::collections::BTreeSet;

use odoo_mfa_exporter::config::web_file::{WebConfig, WebFile};
use odoo_mfa_exporter::config::{ProcessEnv, Web};
use odoo_mfa_exporter::web::access::{Access, NotTaken};
use reqwest::StatusCode;

use crate::access::{ROUTES, list, start, users, web};
use crate::harness::curl;
use crate::harness::pki::Pki;

const TLS: &str = "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n";

const MTLS: &str = "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.crt\n";

/// Requirements for a client in addition to TLS: the more, the fewer clients are admitted.
#[derive(Debug, PartialEq)]
struct Asked<'a> {
    tls: bool,
    requires: bool,
    verifies: bool,
    names: Option<BTreeSet<&'a String>>,
    users: BTreeSet<&'a String>,
}

impl<'a> Asked<'a> {
    fn of(web: &'a WebConfig) -> Self {
        let tls = web.tls.as_ref();
        Self {
            tls: tls.is_some(),
            requires: tls.is_some_and(|it| it.requires_clients),
            verifies: tls.is_some_and(|it| it.verifies_clients),
            names: tls.and_then(|it| Some(it.allowed_names.as_ref()?.iter().collect())),
            users: web.users.keys().collect(),
        }
    }

    /// Returns true if every client that this admits is admitted by the other one as well.
    fn is_within(&self, other: &Self) -> bool {
        let names = match (&self.names, &other.names) {
            (_, None) => true,
            (None, Some(_)) => false,
            (Some(these), Some(those)) => these.is_subset(those),
        };
        let users = other.users.is_empty() || !self.users.is_empty();
        names
            && users
            && self.users.is_subset(&other.users)
            && self.tls >= other.tls
            && self.requires >= other.requires
            && self.verifies >= other.verifies
    }
}

#[test]
fn a_file_truncated_at_any_byte_admits_no_other_client() {
    let directory = Pki::new().written();
    let names =
        "  client_allowed_sans:\n  - prometheus.example.com\n  - spiffe://example.com/prometheus\n";
    let limit = "rate_limit:\n  interval: 1s\n  burst: 20\n";
    let headers = "http_server_config:\n  http2: true\n  headers:\n    X-Frame-Options: deny\n";
    let people = users(&["alice", "bob"]);
    for full in [
        [TLS, MTLS].concat(),
        [TLS, MTLS, names].concat(),
        [TLS, names, MTLS, &people].concat(),
        [
            TLS,
            MTLS.replace("RequireAnd", "")
                .replace("Cert\n", "CertIfGiven\n")
                .as_str(),
            &people,
        ]
        .concat(),
        [TLS, "  client_auth_type: RequireAnyClientCert\n"].concat(),
        [&people, limit, headers, TLS, MTLS].concat(),
        [TLS, &people].concat(),
        people.clone(),
    ] {
        let before = web(directory.path(), &full);
        let mut taken = 0;
        for end in 0..full.len() {
            let path = directory.path().join("cut.yml");
            std::fs::write(&path, &full[..end]).expect("a file");
            let Some(cut) = WebFile::load(&path, &ProcessEnv).config else {
                continue;
            };
            let access = Access::new(&Web::default(), before.clone()).expect("no role is given");
            if access.set_web(cut.clone()).is_ok() {
                taken += 1;
                let (cut, whole) = (Asked::of(&cut), Asked::of(&before));
                assert!(
                    cut.is_within(&whole),
                    "{cut:?} of {whole:?}: {}",
                    &full[..end]
                );
            }
        }
        // Cut off before the last line break, at least, it is the same file.
        assert!(taken > 0, "{full}");
    }
}

#[test]
fn what_weakens_access_is_refused_and_other_edits_apply() {
    let directory = Pki::new().written();
    let read = |text: &str| web(directory.path(), &format!("{TLS}{text}"));
    let verified = |kind: &str| format!("  client_auth_type: {kind}\n  client_ca_file: ca.crt\n");
    let any = |kind: &str| format!("  client_auth_type: {kind}\n");
    let sans = |names: &str| format!("{MTLS}  client_allowed_sans: [{names}]\n");
    let weaker = Err(NotTaken::ClientCertificates);
    for (before, after, expected) in [
        (MTLS.to_owned(), String::new(), weaker),
        (MTLS.to_owned(), any("RequestClientCert"), weaker),
        (MTLS.to_owned(), any("RequireAnyClientCert"), weaker),
        (MTLS.to_owned(), verified("VerifyClientCertIfGiven"), weaker),
        (
            verified("VerifyClientCertIfGiven"),
            any("RequireAnyClientCert"),
            weaker,
        ),
        (
            any("RequireAnyClientCert"),
            verified("VerifyClientCertIfGiven"),
            weaker,
        ),
        (
            any("RequireAnyClientCert"),
            any("RequestClientCert"),
            weaker,
        ),
        (any("RequestClientCert"), String::new(), Ok(())),
        (any("RequireAnyClientCert"), MTLS.to_owned(), Ok(())),
        (verified("VerifyClientCertIfGiven"), MTLS.to_owned(), Ok(())),
        (
            MTLS.to_owned(),
            MTLS.replace("ca.crt", "stranger.crt"),
            Ok(()),
        ),
        (
            sans("a.example, b.example"),
            MTLS.to_owned(),
            Err(NotTaken::AllowedNames),
        ),
        (
            sans("a.example, b.example"),
            sans("a.example, b.ex"),
            Err(NotTaken::AllowedNames),
        ),
        (sans("a.example, b.example"), sans("a.example"), Ok(())),
        (sans("a.example"), sans("a.example, b.example"), Ok(())),
        (users(&["alice", "bob"]), users(&["alice"]), Ok(())),
        (users(&["alice"]), users(&["carol"]), Ok(())),
        (users(&["alice"]), String::new(), Err(NotTaken::Users)),
        (
            [MTLS, &users(&["alice"])].concat(),
            MTLS.to_owned(),
            Err(NotTaken::Users),
        ),
    ] {
        let access = Access::new(&Web::default(), read(&before)).expect("no role is given");
        assert_eq!(access.set_web(read(&after)), expected, "{before}\n{after}");
    }
}

#[test]
fn roles_are_not_removed_and_not_granted_to_all() {
    let directory = tempfile::tempdir().expect("a directory");
    let roles = |scrape: Option<&[&str]>, read: Option<&[&str]>, names: &[&str]| Web {
        scrape: scrape.map(list),
        read: read.map(list),
        read_names: list(names),
        ..Web::default()
    };
    let alice: Option<&[&str]> = Some(&["alice"]);
    let star: Option<&[&str]> = Some(&["*"]);
    let both: Option<&[&str]> = Some(&["alice", "bob"]);
    let role = |name| Err(NotTaken::Role(name));
    for (before, after, expected) in [
        (
            roles(alice, alice, &[]),
            roles(None, alice, &[]),
            role("scrape"),
        ),
        (
            roles(alice, alice, &[]),
            roles(alice, None, &[]),
            role("read"),
        ),
        (roles(alice, alice, &[]), Web::default(), role("scrape")),
        (
            roles(alice, alice, &[]),
            roles(star, alice, &[]),
            role("scrape"),
        ),
        (roles(None, None, &[]), roles(None, star, &[]), role("read")),
        (
            roles(alice, None, &[]),
            roles(Some(&["al"]), None, &[]),
            role("scrape"),
        ),
        (
            roles(None, None, &["alice"]),
            roles(None, None, &["ali"]),
            role("read_names"),
        ),
        (
            roles(alice, alice, &["alice"]),
            roles(both, both, &["bob"]),
            Ok(()),
        ),
        (
            roles(both, both, &["bob"]),
            roles(alice, alice, &[]),
            Ok(()),
        ),
        (roles(star, star, &[]), roles(star, None, &[]), Ok(())),
        (
            roles(None, None, &[]),
            roles(alice, alice, &["alice"]),
            Ok(()),
        ),
    ] {
        let web = web(directory.path(), &users(&["alice", "bob", "al", "ali"]));
        let access = Access::new(&before, web).expect("they can sign in");
        assert_eq!(access.set_roles(&after), expected, "{before:?} {after:?}");
    }
    // Without users all clients have the role already.
    let access = Access::open();
    assert_eq!(access.set_roles(&roles(star, star, &[])), Ok(()));
}

/// If certificates identify clients, a client without one reads what all clients may read, and changes nothing.
#[tokio::test]
async fn only_a_client_with_a_certificate_changes_something() {
    let directory = Pki::new().written();
    let text =
        format!("{TLS}  client_auth_type: VerifyClientCertIfGiven\n  client_ca_file: ca.crt\n");
    let everybody = Web {
        scrape: Some(list(&["*"])),
        read: Some(list(&["*"])),
        ..Web::default()
    };
    for roles in [everybody, Web::default()] {
        let access = Access::new(&roles, web(directory.path(), &text)).expect("no role is given");
        let server = start(access).await;
        let path = |name: &str| directory.path().join(name).display().to_string();
        let without = ["--cacert".to_owned(), path("ca.crt")];
        let certificate = [
            "--cert".to_owned(),
            path("client.crt"),
            "--key".to_owned(),
            path("client.key"),
        ];
        for (change, allowed) in [
            ("/-/reload", StatusCode::NOT_FOUND),
            ("/-/log-level?level=debug", StatusCode::NOT_FOUND),
        ] {
            let post = ["--request".to_owned(), "POST".to_owned()];
            let url = server.https(change);
            let anybody = [&without[..], &post].concat();
            assert_eq!(curl::status(&url, &anybody).await, Some(403), "{change}");
            // There is nothing to change here.
            let known = [&without[..], &certificate, &post].concat();
            assert_eq!(
                curl::status(&url, &known).await,
                Some(allowed.as_u16()),
                "{change}"
            );
        }
        for (read, _) in ROUTES.iter().take(6) {
            assert_eq!(
                curl::status(&server.https(read), &without)
                    .await
                    .map(|it| it < 400 || it == 503),
                Some(true),
                "{read}"
            );
        }
        server.stop().await;
    }
}
