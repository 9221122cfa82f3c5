//! The numbers of a poll against the truth of the simulated database: every number must be correct, for any
//! version, installed modules and account; and an account that sees everything must get every number.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use odoo_mfa_exporter::config::{Config, ProcessEnv};
use odoo_mfa_exporter::domain::posture::Posture;
use odoo_mfa_exporter::domain::standing::{Standing, Terms};
use odoo_mfa_exporter::domain::transition::{
    Baseline, Change, ChangeKind, Found, Origin, Step, advance, questions,
};
use odoo_mfa_exporter::domain::{Facts, PolicyScope, Reason};
use odoo_mfa_exporter::odoo::plan::{self, Parts};
use odoo_mfa_exporter::odoo::{Clients, Error, Session, Transport};
use odoo_mfa_exporter::poll;
use odoo_simulator::{
    AccountKind, Clock, Database, Fault, Hide, Kind, Life, PersonView, Recipe, Scope,
    ServerOptions, SimServer, Time, World,
};

use crate::harness::eventually;

/// 2026-11-24 02:30:00.
pub const NOW: Time = 1_795_487_400;
pub const DAY: Time = 86_400;

/// The default roles, in the order of their names.
const ROLES: &[(&str, &[&str])] = &[
    ("access_rights", &["base.group_erp_manager"]),
    (
        "accounting",
        &[
            "account.group_account_manager",
            "account.group_account_user",
        ],
    ),
    ("hr", &["hr.group_hr_manager", "hr.group_hr_user"]),
    ("purchase", &["purchase.group_purchase_manager"]),
    ("sales", &["sales_team.group_sale_manager"]),
    ("settings", &["base.group_system"]),
    ("stock", &["stock.group_stock_manager"]),
    ("website", &["website.group_website_designer"]),
];

type Numbers = BTreeMap<String, String>;

#[tokio::test]
async fn every_number_given_is_the_truth() {
    let clients = Clients::default();
    for version in 14..=20 {
        for seed in 1..=4_u64 {
            for kind in [AccountKind::Full, AccountKind::Least, AccountKind::Plain] {
                if kind != AccountKind::Full && seed.is_multiple_of(2) {
                    continue;
                }
                let (server, database) = stage(version, seed, kind).await;
                let said = said(&poll_once(&clients, &server, &database).await.posture);
                let truth = truth(&database.world());
                let tag = format!("Odoo {version}, seed {seed}, {kind:?}");
                // From 20 on who has TOTP is hidden, and with it whose keys those of unprotected users are.
                let totp_hidden = version >= 20 && kind != AccountKind::Full;
                assert_eq!(said.contains_key("protected"), !totp_hidden, "{tag}");
                let told = |name: &&String| {
                    let depends = *name == "keys: whose"
                        || *name == "privileged"
                        || name.starts_with("role ");
                    !(totp_hidden && depends)
                };
                for (name, number) in said.iter().filter(|(name, _)| told(name)) {
                    assert_eq!(Some(number), truth.get(name), "{tag}: {name}");
                }
                let missing: Vec<_> = truth.keys().filter(|it| !said.contains_key(*it)).collect();
                match kind {
                    AccountKind::Full => assert!(missing.is_empty(), "{tag}: {missing:?}"),
                    AccountKind::Plain => {
                        assert!(!said.contains_key("keys: scopes"), "{tag}: own keys only");
                    }
                    _ => {}
                }
                let log = database.log();
                assert_eq!((log.writes(), log.secrets()), (0, 0), "{tag}");
            }
        }
    }
}

#[tokio::test]
async fn a_poll_during_which_people_are_archived_is_of_the_time_before() {
    let clients = Clients::default();
    for version in [14, 18, 19] {
        let (server, database) = stage(version, 1, AccountKind::Full).await;
        let poll = async || said(&poll_once(&clients, &server, &database).await.posture);
        let before = poll().await;
        let (model, method) = ("res.users.apikeys", "search_read");
        let asked = || database.log().count(model, method);
        let already = asked();
        // By then it has read who is archived, and nothing else of users.
        let while_it_waits = Fault::Slow(Duration::from_millis(500));
        database.fail_when(Some(model), Some(method), Some(1), while_it_waits);
        let archive = async {
            eventually("the question for keys", async || {
                (asked() > already).then_some(())
            })
            .await;
            let mut world = database.world_mut();
            let others = world.people().filter(|person| person.login() != "auditor");
            let others: Vec<_> = others.map(|it| (it.id(), it.active())).collect();
            for (id, active) in others {
                world.set_active(id, !active);
            }
        };
        let (during, ()) = tokio::join!(poll(), archive);
        assert_eq!(during, before, "Odoo {version}");
        let after = poll().await;
        assert_ne!(after, before, "Odoo {version}");
        assert_eq!(after, truth(&database.world()), "Odoo {version}");
    }
}

#[tokio::test]
async fn modules_around_the_second_factor_tell_what_the_account_may_read() {
    let clients = Clients::default();
    for version in 14..=20 {
        for kind in [AccountKind::Full, AccountKind::Least] {
            let (server, database) = stage(version, 1, kind).await;
            let owner = {
                let mut world = database.world_mut();
                let owner = world.hire(Kind::Internal);
                world.install("auth_api_key");
                world.install("impersonate_login");
                world.keep_clear_text_key(owner);
                world.keep_clear_text_key(owner);
                world.set_param(
                    "impersonate_login.restrict_impersonate_admin_settings",
                    Some("True"),
                );
                owner
            };
            let facts = poll_once(&clients, &server, &database).await.facts;
            let tag = format!("Odoo {version}, {kind:?}");
            let modules_seen = facts.modules.complete().is_some();
            let keys = (modules_seen && kind == AccountKind::Full).then(|| vec![owner, owner]);
            assert_eq!(facts.clear_text_keys, keys, "{tag}");
            // From 20 on only administrators see settings.
            let settings_seen = kind == AccountKind::Full || version < 20;
            let spared = (modules_seen && settings_seen && version >= 17).then_some(true);
            assert_eq!(facts.administrators_spared, spared, "{tag}");
            let log = database.log();
            assert_eq!((log.writes(), log.secrets()), (0, 0), "{tag}");
        }
    }
}

/// State of a user, for an observer who knows everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Status {
    kind: Kind,
    active: bool,
    holds: bool,
}

/// All users, archived ones too.
fn everybody(world: &World) -> BTreeMap<u32, Status> {
    let status = |it: PersonView<'_>| Status {
        kind: it.kind(),
        active: it.active(),
        holds: it.totp() || it.passkeys() > 0,
    };
    world.people().map(|it| (it.id(), status(it))).collect()
}

/// Users who enrolled and who lost their factor between two moments, with their type then.
fn truly_changed(
    before: &BTreeMap<u32, Status>,
    now: &BTreeMap<u32, Status>,
) -> BTreeSet<(u32, &'static str, String)> {
    let changed = now
        .iter()
        .filter(|(_, it)| it.active)
        .filter_map(|(id, it)| {
            let before = before.get(id);
            let had = before.is_some_and(|it| it.holds);
            let stayed = before.is_some_and(|it| it.active);
            let kind = match (had, it.holds) {
                (false, true) => "mfa_enrolled",
                (true, false) if stayed => "mfa_disabled",
                _ => return None,
            };
            Some((*id, kind, format!("{:?}", it.kind).to_lowercase()))
        });
    changed.collect()
}

/// Why a poll in the middle may fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trouble {
    /// The account lost a company, and would see fewer portal users.
    LostCompany,
    /// A company is archived, which hides its portal users; from 16 on.
    ArchivedCompany,
    /// A record rule hides a user.
    HiddenUser,
    /// Odoo refuses a request.
    Refused,
}

const TROUBLES: [Trouble; 4] = [
    Trouble::LostCompany,
    Trouble::ArchivedCompany,
    Trouble::HiddenUser,
    Trouble::Refused,
];

impl Trouble {
    fn begin(self, database: &Database, auditor: u32, user: u32) {
        match self {
            Self::LostCompany => drop(database.world_mut().set_companies(auditor, 1, &[])),
            Self::ArchivedCompany => drop(database.world_mut().set_company_active(2, false)),
            Self::HiddenUser => drop(database.world_mut().hide_user(user, Hide::UserRule)),
            Self::Refused => {
                let refusal = Fault::Raise("odoo.exceptions.AccessError", "No.".into());
                database.fail_when(Some("res.users"), Some("search"), None, refusal);
            }
        }
    }

    /// True if a poll fails in any case; without portal users an archived company hides no user.
    fn fails_polls(self) -> bool {
        self != Self::ArchivedCompany
    }

    fn end(database: &Database, auditor: u32, user: u32) {
        database.heal();
        let mut world = database.world_mut();
        world.set_companies(auditor, 1, &[1, 2]);
        world.set_company_active(2, true);
        world.show_user(user);
    }
}

/// Lives at random, with polls that fail in between: each poll that succeeds finds what happened since the last one that did.
#[tokio::test]
async fn transitions_are_what_happened_between_two_polls_that_succeeded() {
    const ROUNDS: u32 = 48;
    // Early builds of 15 and 16 ignore a domain with `totp_enabled`, as 14 does.
    let builds = [14, 15, 16, 17, 18, 19].map(|version| (version, version == 14));
    let builds = builds.into_iter().chain([(15, true), (16, true)]);
    let clients = Clients::default();
    for (version, ignores_totp) in builds {
        let (server, database) = stage(version, 1, AccountKind::Full).await;
        let auditor = {
            let mut world = database.world_mut();
            world.quirks.totp_unsearchable = ignores_totp;
            let auditor = world.people().find(|it| it.login() == "auditor");
            auditor.expect("the polling account").id()
        };
        let mut client = Client::new(&clients, &server, &database, "");
        let mut dice = Dice(version.into());
        let mut baseline: Option<Baseline> = None;
        let mut then = BTreeMap::new();
        let mut kinds = BTreeSet::new();
        let mut failed = BTreeSet::new();
        let mut troubles = TROUBLES.into_iter().cycle();
        for round in 0..ROUNDS {
            let tag =
                format!("Odoo {version}, ignores totp_enabled: {ignores_totp}, round {round}");
            for _ in 0..dice.below(8) {
                happen(&mut database.world_mut(), &mut dice, auditor);
            }
            let now = everybody(&database.world());
            let trouble = (dice.below(3) == 0).then(|| troubles.next()).flatten();
            let others: Vec<u32> = now.keys().copied().filter(|id| *id != auditor).collect();
            let user = *dice.one_of(&others);
            if let Some(trouble) = trouble {
                trouble.begin(&database, auditor, user);
            }
            let polled = client.poll(Parts::ALL).await;
            Trouble::end(&database, auditor, user);
            let facts = match (polled, trouble) {
                (Ok(polled), trouble) => {
                    assert!(
                        !trouble.is_some_and(Trouble::fails_polls),
                        "{tag}: {trouble:?}"
                    );
                    polled.facts
                }
                (Err(error), None) => panic!("{tag}: {error}"),
                (Err(error), Some(trouble)) => {
                    assert_eq!(error.reason(), Reason::Access, "{tag}: {trouble:?}");
                    failed.insert(format!("{trouble:?}"));
                    continue;
                }
            };
            let step = client.step(baseline.as_ref(), &facts).await;
            match step.found {
                Found::First => assert!(baseline.is_none(), "{tag}"),
                Found::Changes(changes) => {
                    let found = mfa_changes(&changes);
                    assert_eq!(found, truly_changed(&then, &now), "{tag}");
                    kinds.extend(
                        found
                            .into_iter()
                            .map(|(_, kind, user_type)| (kind, user_type)),
                    );
                }
                Found::Break(found) => panic!("{tag}: {found}"),
            }
            baseline = Some(step.baseline);
            then = now;
        }
        // The lives are worth something.
        for kind in ["mfa_enrolled", "mfa_disabled"] {
            for user_type in ["internal", "portal"] {
                let it = (kind, user_type.to_owned());
                assert!(kinds.contains(&it), "Odoo {version}: {it:?} never happens");
            }
        }
        let without_companies = usize::from(version < 16);
        assert_eq!(
            failed.len(),
            TROUBLES.len() - without_companies,
            "Odoo {version}: {failed:?}"
        );
    }
}

/// Users who enrolled or lost their factor according to the poll, with their type.
fn mfa_changes(changes: &[Change]) -> BTreeSet<(u32, &'static str, String)> {
    let mfa = changes
        .iter()
        .filter(|it| matches!(it.kind, ChangeKind::MfaEnrolled | ChangeKind::MfaDisabled));
    mfa.map(|it| {
        let user_type = it.user_type.expect("an active user").as_str();
        (it.person, it.kind.as_str(), user_type.to_owned())
    })
    .collect()
}

/// Changes a user, active or archived.
fn happen(world: &mut World, dice: &mut Dice, auditor: u32) {
    let people: Vec<(u32, Status)> = everybody(world)
        .into_iter()
        .filter(|(id, _)| *id != auditor)
        .collect();
    // Half of the time a user who was archived, or has a factor: that is where transitions are.
    let telling: Vec<_> = people
        .iter()
        .filter(|(_, it)| !it.active || it.holds)
        .collect();
    let somebody = dice.below(u32::try_from(people.len()).expect("few"));
    let (id, status) = match dice.below(2) {
        0 if !telling.is_empty() => **dice.one_of(&telling),
        _ => people[somebody as usize],
    };
    match dice.below(12) {
        0..=2 => {
            world.set_active(id, !status.active);
        }
        3..=4 => {
            world.enroll(id);
        }
        5..=6 => {
            world.disable_totp(id);
            world.remove_passkeys(id);
        }
        10 => {
            world.empty_totp_secret(id);
        }
        7 if world.installed("auth_passkey") => {
            world.add_passkey(id, NOW);
        }
        8 if matches!(status.kind, Kind::Internal | Kind::Portal) => {
            let other = match status.kind {
                Kind::Internal => Kind::Portal,
                _ => Kind::Internal,
            };
            world.set_kind(id, other);
        }
        // The newest are left alone: their going is what a restored backup looks like.
        9 if people.last().is_some_and(|(newest, _)| id + 30 < *newest) => {
            world.delete(id);
        }
        _ => {
            let kind = [Kind::Internal, Kind::Portal][dice.below(2) as usize];
            let newcomer = world.hire(kind);
            if dice.below(2) == 0 {
                world.enroll(newcomer);
            }
        }
    }
}

/// Numbers that look random and are the same each time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u32) -> u32 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        u32::try_from(self.0 >> 33).expect("31 bits") % limit
    }

    fn one_of<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(u32::try_from(of.len()).expect("few")) as usize]
    }
}

/// Without a view of the modules the setting's field says whether the policy's module is there: its parameter survives it.
#[tokio::test]
async fn a_policy_counts_only_while_its_module_is_there() {
    let clients = Clients::default();
    for version in 15..=20 {
        let module = if version >= 19 {
            "auth_totp_mail"
        } else {
            "auth_totp_mail_enforce"
        };
        for kind in [AccountKind::Full, AccountKind::Least] {
            let (server, database) = stage(version, 1, kind).await;
            database.world_mut().install(module);
            database
                .world_mut()
                .set_param("auth_totp.policy", Some("all_required"));
            let tag = format!("Odoo {version}, {kind:?}");
            let facts = poll_once(&clients, &server, &database).await.facts;
            let may_read = kind == AccountKind::Full || (17..20).contains(&version);
            let expected = may_read.then_some(&Some(PolicyScope::AllRequired));
            assert_eq!(facts.policy.complete(), expected, "{tag}");

            database.world_mut().uninstall(module);
            let facts = poll_once(&clients, &server, &database).await.facts;
            assert_eq!(facts.policy.complete(), Some(&None), "{tag}, uninstalled");
        }
    }
}

/// A lived-in database with one thing of everything, and the account that polls it.
pub async fn stage(version: u8, seed: u64, kind: AccountKind) -> (SimServer, Arc<Database>) {
    let recipe = Recipe {
        internal: 30 + 7 * u32::try_from(seed).expect("small"),
        portal: 60,
        companies: 1 + u8::try_from(seed % 3).expect("small"),
        websites: u8::try_from(seed % 3).expect("small"),
        oauth: if seed.is_multiple_of(2) { 0.3 } else { 0.0 },
        policy: [None, Some("employee_required"), Some("all_required")]
            [usize::try_from(seed % 3).expect("small")]
        .filter(|_| version >= 15),
        modules: if seed == 3 && version < 20 {
            vec!["auth_saml"]
        } else {
            vec![]
        },
        without: match seed {
            2 => vec!["auth_totp", "auth_totp_mail", "auth_totp_portal"],
            4 => vec!["hr", "auth_passkey", "auth_passkey_portal"],
            _ => vec![],
        },
        ..Recipe::new(version, seed)
    };
    let mut world = World::build(&recipe, Clock::fixed(NOW));
    Life::skip(&mut world, 300);
    for kind in [Kind::None, Kind::Public] {
        let person = world.hire(kind);
        world.enroll(person);
    }
    let archived = world.hire(Kind::Internal);
    world.add_key(archived, Scope::Rpc, NOW - DAY, Some(NOW + DAY));
    world.add_device(archived, NOW - DAY, Some(NOW + DAY));
    world.set_active(archived, false);
    let account = world.add_account(kind, "auditor");
    let options = ServerOptions {
        keep_alive: true,
        ..ServerOptions::new(version)
    };
    let server = SimServer::start(options).await.expect("a free port");
    let database = server.add_database(&account.api_key, world);
    (server, database)
}

/// A client that polls one database.
pub struct Client {
    config: Config,
    transport: Transport,
    session: Option<Session>,
}

impl Client {
    /// A client with a configuration; `more` is added to the target's.
    pub fn new(clients: &Clients, server: &SimServer, database: &Database, more: &str) -> Self {
        // The provider is the process's; another test may have installed it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("config.yaml");
        let url = server.url();
        // The database bears the name of the key, so that one string is enough.
        let text = format!(
            "targets:\n- {{name: t, url: {url}, database: '{0}', login: auditor, api_key_file: {1}, allow_plain_http: true{more}}}\n",
            database.name,
            folder.path().join("key").display()
        );
        std::fs::write(&path, text).expect("a file");
        let key = folder.path().join("key");
        std::fs::write(&key, &database.name).expect("a file");
        std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600))
            .expect("permissions");
        let (config, _) = Config::load(&path, &ProcessEnv).expect("a good configuration");
        let transport = Transport::new(clients, Arc::clone(&config.targets[0])).expect("a client");
        Self {
            config,
            transport,
            session: None,
        }
    }

    /// Polls with these parts.
    pub async fn poll(&mut self, parts: Parts) -> Result<poll::Polled, Error> {
        self.poll_at(NOW, parts).await
    }

    /// Number of requests since the last call.
    pub fn requests(&self) -> u64 {
        let (ok, failed) = self.transport.take_counts();
        ok + failed
    }

    /// The error of a poll that was given up now.
    pub fn timed_out(&self) -> Error {
        self.transport.timed_out(self.config.targets[0].timeout)
    }

    /// Polls with these parts at a time.
    pub async fn poll_at(&mut self, now: Time, parts: Parts) -> Result<poll::Polled, Error> {
        let now = Timestamp::from_second(now.into()).expect("a time");
        let (target, roles) = (&self.config.targets[0], &self.config.roles);
        poll::once(
            &self.transport,
            &mut self.session,
            target,
            roles,
            parts,
            now,
        )
        .await
    }
}

impl Client {
    /// One poll further from a baseline.
    async fn step(&self, previous: Option<&Baseline>, facts: &Facts) -> Step {
        let origin = Origin {
            url: "https://erp.example.com".into(),
            database: "prod".into(),
        };
        let target = &self.config.targets[0];
        let terms = Terms {
            accepted: &target.accepted_factors,
            exemptions: &target.exemptions,
        };
        let standing = Standing::of(facts, &terms);
        let posture = Posture::of(facts, &terms, &standing).expect("numbers that fit");
        let roles = &self.config.roles;
        let current = Baseline::of(facts, &terms, roles, &standing, &posture, origin);
        let session = self.session.as_ref().expect("a poll opened it");
        let asked = questions(previous, &current);
        let answers = plan::answers(&self.transport, session, asked, false)
            .await
            .expect("answers");
        advance(previous, current, &answers).expect("everything was asked")
    }
}

async fn poll_once(clients: &Clients, server: &SimServer, database: &Database) -> poll::Polled {
    let mut client = Client::new(clients, server, database, "");
    client.poll(Parts::ALL).await.expect("the poll succeeds")
}

/// The numbers of the poll, as far as known.
fn said(posture: &Posture) -> Numbers {
    let mut numbers = Numbers::new();
    let mut put = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            numbers.insert(name.into(), value);
        }
    };
    let p = posture;
    put("active", text(&p.active.0));
    put("archived", text(&p.archived.0));
    put("protected", p.protected.as_ref().and_then(|it| text(&it.0)));
    put("totp", p.totp.as_ref().and_then(|it| text(&it.0)));
    put("passkey", p.passkey.as_ref().and_then(|it| text(&it.0)));
    put(
        "single factor",
        p.single_factor.as_ref().and_then(|it| text(&it.0)),
    );
    put("grace", p.grace.as_ref().and_then(|it| text(&it.0)));
    put(
        "dormant",
        p.dormant_unprotected.as_ref().and_then(|it| text(&it.0)),
    );
    put("oauth", p.oauth.as_ref().and_then(|it| text(&it.0)));
    put("saml", p.saml.as_ref().and_then(|it| text(&it.0)));
    put(
        "password",
        p.password_rpc.as_ref().and_then(|it| text(&it.0)),
    );
    put(
        "devices",
        p.devices
            .as_ref()
            .and_then(|it| text(&(it.devices, it.owners))),
    );
    put(
        "policy",
        p.enforcement.as_ref().map(|it| format!("{:?}", it.by)),
    );
    if let Some(privileged) = &p.privileged {
        put(
            "privileged",
            text(&(privileged.people, privileged.unprotected)),
        );
        for role in &privileged.roles {
            let name = format!("role {}", role.name);
            put(
                &name,
                text(&(role.people, role.unprotected, role.unprotected_past_grace)),
            );
        }
    }
    if let Some(keys) = &p.keys {
        put(
            "keys: scopes",
            text(&(keys.unrestricted, keys.rpc, keys.other)),
        );
        put("keys: ages", text(&keys.by_age));
        put(
            "keys: dates",
            text(&(keys.without_expiry, keys.expiring, keys.expired)),
        );
        put("keys: owners", text(&keys.owners.0));
        put(
            "keys: whose",
            text(&(keys.of_privileged, keys.of_archived, keys.of_unprotected)),
        );
        let times = (
            keys.oldest.map(Timestamp::as_second),
            keys.next_expiry.map(Timestamp::as_second),
        );
        put("keys: times", text(&times));
    }
    numbers
}

/// The truth for the default configuration: TOTP is the one accepted factor, 14 days of grace, 90 days to dormancy.
fn truth(world: &World) -> Numbers {
    let mut numbers = Numbers::new();
    let mut put = |name: &str, value: Option<String>| {
        drop(numbers.insert(name.into(), value.expect("a text")))
    };
    let per_type = |is: &dyn Fn(&PersonView<'_>) -> bool| {
        [Kind::Internal, Kind::Portal, Kind::Public, Kind::None].map(|kind| {
            world
                .people()
                .filter(|it| it.kind() == kind && is(it))
                .count()
        })
    };
    let young = |it: &PersonView<'_>| NOW - it.created() < 14 * DAY;
    let asleep = |it: &PersonView<'_>| NOW - it.last_login().unwrap_or(it.created()) >= 90 * DAY;
    put("active", text(&per_type(&|it| it.active())));
    put("archived", text(&per_type(&|it| !it.active())));
    put("protected", text(&per_type(&|it| it.active() && it.totp())));
    put("totp", text(&per_type(&|it| it.active() && it.totp())));
    put(
        "passkey",
        text(&per_type(&|it| it.active() && it.passkeys() > 0)),
    );
    put(
        "single factor",
        text(&per_type(&|it| {
            it.active() && it.totp() != (it.passkeys() > 0)
        })),
    );
    put(
        "grace",
        text(&per_type(&|it| it.active() && !it.totp() && young(it))),
    );
    put(
        "dormant",
        text(&per_type(&|it| it.active() && !it.totp() && asleep(it))),
    );
    put("oauth", text(&per_type(&|it| it.active() && it.oauth())));
    put("saml", text(&per_type(&|it| it.active() && it.saml())));

    let policy = world.policy_in_force();
    let covered = |it: &PersonView<'_>| match policy {
        Some("all_required") => true,
        Some(_) => it.kind() == Kind::Internal,
        None => false,
    };
    let modern = world.version() >= 19;
    let open = |it: &PersonView<'_>| !modern || (world.installed("rpc") && !covered(it));
    put(
        "password",
        text(&per_type(&|it| it.active() && !it.totp() && open(it))),
    );
    put(
        "policy",
        Some(
            match policy {
                None => "None",
                Some("all_required") => "Policy(AllRequired)",
                Some(_) => "Policy(EmployeeRequired)",
            }
            .into(),
        ),
    );

    let active = |id: u32| world.user(id).is_some_and(|it| it.active() && !it.pseudo());
    let devices: Vec<u32> = world
        .devices()
        .filter(|it| !it.expired(NOW) && active(it.owner))
        .map(|it| it.owner)
        .collect();
    put(
        "devices",
        text(&(devices.len(), devices.iter().collect::<BTreeSet<_>>().len())),
    );

    let in_role =
        |it: &PersonView<'_>, groups: &[&str]| groups.iter().any(|group| it.in_group(group));
    let privileged = |it: &PersonView<'_>| ROLES.iter().any(|(_, groups)| in_role(it, groups));
    let count = |is: &dyn Fn(&PersonView<'_>) -> bool| {
        world.people().filter(|it| it.active() && is(it)).count()
    };
    put(
        "privileged",
        text(&(
            count(&privileged),
            Some(count(&|it| privileged(it) && !it.totp())),
        )),
    );
    for (name, groups) in ROLES {
        let bare = |it: &PersonView<'_>| in_role(it, groups) && !it.totp();
        let numbers = (
            count(&|it| in_role(it, groups)),
            Some(count(&bare)),
            Some(count(&|it| bare(it) && !young(it))),
        );
        put(&format!("role {name}"), text(&numbers));
    }

    let working: Vec<_> = world
        .keys()
        .filter(|it| !it.expired(NOW) && active(it.owner))
        .collect();
    let scope = |is: fn(Scope) -> bool| working.iter().filter(|it| is(it.scope)).count();
    let without = scope(|it| it == Scope::Unrestricted);
    let others = scope(|it| matches!(it, Scope::Other(_)));
    // From 20 on a key without a scope opens nothing.
    let (without, others) = match world.version() {
        ..20 => (without, others),
        _ => (0, without + others),
    };
    let scopes = (without, scope(|it| it == Scope::Rpc), others);
    put("keys: scopes", text(&scopes));
    let age = |from: Time, to: Time| {
        working
            .iter()
            .filter(|it| (from..to).contains(&((NOW - it.created) / DAY)))
            .count()
    };
    put(
        "keys: ages",
        text(&[age(0, 30), age(30, 90), age(90, 365), age(365, Time::MAX)]),
    );
    let ends = |from: Time, to: Time| {
        working
            .iter()
            .filter(|it| it.expires != 0 && (from * DAY..to * DAY).contains(&(it.expires - NOW)))
            .count()
    };
    let endless = working.iter().filter(|it| it.expires == 0).count();
    let expired = world.keys().filter(|it| it.expired(NOW)).count();
    put(
        "keys: dates",
        text(&(endless, [ends(0, 7), ends(7, 30)], expired)),
    );
    let owners: BTreeSet<u32> = working.iter().map(|it| it.owner).collect();
    put(
        "keys: owners",
        text(&per_type(&|it| owners.contains(&it.id()))),
    );
    let of = |is: &dyn Fn(&PersonView<'_>) -> bool| {
        working
            .iter()
            .filter(|key| world.user(key.owner).is_some_and(|it| is(&it)))
            .count()
    };
    let archived = world
        .keys()
        .filter(|key| !key.expired(NOW) && world.user(key.owner).is_some_and(|it| !it.active()))
        .count();
    put(
        "keys: whose",
        text(&(Some(of(&privileged)), archived, Some(of(&|it| !it.totp())))),
    );
    let oldest = working.iter().map(|it| i64::from(it.created)).min();
    let next = working
        .iter()
        .filter(|it| it.expires != 0)
        .map(|it| i64::from(it.expires))
        .min();
    put("keys: times", text(&(oldest, next)));
    numbers
}

fn text(value: &dyn Debug) -> Option<String> {
    Some(format!("{value:?}"))
}
