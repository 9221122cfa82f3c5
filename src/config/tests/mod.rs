//! Meaning of a configuration, and errors of invalid ones.

mod alerting;

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use secrecy::ExposeSecret;

use super::*;
use crate::domain::exemption::Matcher;
use crate::domain::vocabulary::{Capability, Endpoint, Factor, UserType};

const CANARY: &str = "c4nary5ecret0123456789abcdef";

/// Files and variables as a test wants them.
#[derive(Default)]
struct FakeEnv {
    files: BTreeMap<PathBuf, (Vec<u8>, u32)>,
    variables: BTreeMap<String, String>,
}

impl FakeEnv {
    fn file(mut self, path: &str, content: impl Into<Vec<u8>>, mode: u32) -> Self {
        self.files.insert(path.into(), (content.into(), mode));
        self
    }

    fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.into(), value.into());
        self
    }
}

impl Env for FakeEnv {
    fn file(&self, path: &Path) -> io::Result<FileContent> {
        match self.files.get(path) {
            Some((bytes, mode)) => Ok(FileContent {
                bytes: bytes.clone(),
                mode: *mode,
            }),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn var(&self, name: &str) -> Option<String> {
        self.variables.get(name).cloned()
    }
}

fn env() -> FakeEnv {
    FakeEnv::default().file("/etc/ome/erp.key", format!("{CANARY}\n"), 0o600)
}

fn load_in(env: FakeEnv, yaml: &str) -> Result<(Config, Vec<Diagnostic>), Vec<Diagnostic>> {
    Config::load(
        Path::new("/etc/ome/config.yaml"),
        &env.file("/etc/ome/config.yaml", yaml, 0o644),
    )
}

fn load(yaml: &str) -> Result<(Config, Vec<Diagnostic>), Vec<Diagnostic>> {
    load_in(env(), yaml)
}

/// The only target of a configuration that has one.
fn target(yaml: &str) -> Arc<Target> {
    match load(yaml) {
        Ok((config, _)) => Arc::clone(&config.targets[0]),
        Err(found) => panic!("{}", shown(&found)),
    }
}

fn errors(yaml: &str) -> String {
    errors_in(env(), yaml)
}

fn errors_in(env: FakeEnv, yaml: &str) -> String {
    shown(&load_in(env, yaml).expect_err("the configuration is wrong"))
}

fn warnings_in(env: FakeEnv, yaml: &str) -> String {
    match load_in(env, yaml) {
        Ok((_, warnings)) => shown(&warnings),
        Err(found) => panic!("{}", shown(&found)),
    }
}

/// The findings as a terminal shows them, the file's name shortened.
fn shown(found: &[Diagnostic]) -> String {
    let lines: Vec<_> = found
        .iter()
        .map(|it| {
            it.to_string()
                .replace("/etc/ome/config.yaml", "config.yaml")
        })
        .collect();
    lines.join("\n")
}

const MINIMAL: &str = "
targets:
- name: erp
  url: https://erp.example.com
  database: prod
  api_key_file: erp.key
";

/// The minimal target with more lines.
fn with(lines: &str) -> String {
    format!(
        "{MINIMAL}{}",
        lines
            .lines()
            .map(|line| format!("  {line}\n"))
            .collect::<String>()
    )
}

#[test]
fn the_defaults_are_the_documented_ones() {
    let target = target(MINIMAL);
    assert_eq!(target.api_key.current().expose_secret(), CANARY);
    assert_eq!(target.url.as_str(), "https://erp.example.com/");
    assert_eq!(target.api, ApiChoice::Auto);
    assert_eq!(
        (target.interval.as_secs(), target.timeout.as_secs()),
        (300, 30)
    );
    assert_eq!(target.accepted_factors, BTreeSet::from([Factor::Totp]));
    assert_eq!(
        (target.grace.as_secs(), target.dormant.as_secs()),
        (14 * 86_400, 90 * 86_400)
    );
    assert_eq!(
        target.coverage_target,
        BTreeMap::from([(UserType::Internal, 0.9)])
    );
    assert!(target.surface.is_none() && target.exemptions.is_empty() && target.labels.is_empty());
}

#[test]
fn a_target_overrides_the_defaults_field_by_field() {
    let (config, _) = load(
        "
defaults: {interval: 10m, timeout: 1m, grace: 7d, accepted_factors: [totp, sso], coverage_target: {portal: 0.5}}
targets:
- &erp {name: erp, url: 'https://erp.example.com', database: prod, api_key_file: erp.key}
- {<<: *erp, name: shop, database: shop, interval: 1h30m, accepted_factors: [passkey], coverage_target: {}}
",
    )
    .expect("a good configuration");
    let [erp, shop] = config.targets.as_slice() else {
        panic!("two targets")
    };
    assert_eq!(
        (erp.interval.as_secs(), shop.interval.as_secs()),
        (600, 5400)
    );
    assert_eq!(
        (erp.timeout, erp.grace, erp.url.clone()),
        (shop.timeout, shop.grace, shop.url.clone())
    );
    assert_eq!(
        erp.accepted_factors,
        BTreeSet::from([Factor::Totp, Factor::Sso])
    );
    assert_eq!(shop.accepted_factors, BTreeSet::from([Factor::Passkey]));
    assert_eq!(
        erp.coverage_target,
        BTreeMap::from([(UserType::Portal, 0.5)])
    );
    assert!(shop.coverage_target.is_empty());
}

#[test]
fn all_errors_are_reported_at_once_each_with_its_position() {
    insta::assert_snapshot!(errors(
        "
defaults: {interval: 5, timeout: 0s, accepted_factors: [totp, sms], coverage_target: {internal: 90, guests: 1}}
targets:
- name: erp
  url: https://admin:hunter2@erp.example.com
  databse: prod
  api_key_file: missing.key
  grace: two weeks
  labels: {team: finance, user_type: x, 1st: y, __name__: z, floor: 3}
- name: erp
  url: erp.example.com
  database: 17
  api_key_file: erp.key
  api_key_env: ERP_KEY
  interval: 20s
  timeout: 20s
  accept_missing: [module]
  allow_plain_http: 'no'
  exemptions:
  - {login: kiosk-1, group: base.group_user, reason: kiosk}
  - {reason: service}
  - {login_glob: '*', reason: robots, expires: 2027-02-30}
  - {group: group_user}
  surface: {interval: 0s, vantages: [{name: a, expect_blocked: [ssh]}, {name: a, url: 'ftp://x', expect_blocked: []}]}
  tls: {cert_file: erp.key, server_name: https://erp}
  proxy: ftp://proxy.example.com
- name: ' x'
  url: http://erp.example.com
  database: prod
  allow_plain_http: yes
- just text
privileged_roles: {Payroll: [hr_payroll], settngs: [], total: [a.b]}
privacy: {names_in_alerts: 'true'}
alerting:
  alertmanagers: [{url: 'http://am:9093/?x=1'}, {}]
  rules: {OdooMfaTargetsDown: {for: 1h}, OdooMfaDisabled: {severity: page, threshold: '3', labels: {alertname: x}}}
metrics: {disable: [odoo_userz, odoo_up, 'odoo_api_key*']}
web: {roles: {scrape: prometheus, read: [1]}}
privacy: {}
"
    ), @r#"
    config.yaml:2:22: error: `interval` has no unit
      hint: write a duration such as `5s`, `5m` or `5d`
    config.yaml:2:34: error: `timeout` is zero
      hint: give a duration such as `5m`, or remove the line
    config.yaml:2:63: error: `accepted_factors` has an unknown value
      hint: known values: `totp`, `passkey`, `email_policy`, `sso`
    config.yaml:2:97: error: `internal` is 90, which is not a ratio
      hint: for 90 percent write `0.9`
    config.yaml:2:101: error: unknown type of user `guests`
      hint: known values: `internal`, `portal`, `public`, `none`
    config.yaml:4:3: error: `database` is missing
      hint: add `database: prod`
    config.yaml:5:8: error: `url` contains credentials
      hint: remove the part before the `@`: a URL is shown in metrics and logs
    config.yaml:6:3: error: unknown field `databse`
      hint: did you mean `database`?
    config.yaml:7:17: error: `api_key_file` cannot be read: entity not found
      hint: paths are relative to `/etc/ome`; the exporter's user must be able to read the file
    config.yaml:8:10: error: `grace` is not a duration
      hint: write whole numbers with units, the largest first, such as `30s`, `5m`, `1h30m` or `14d` (units: w, d, h, m, s, ms)
    config.yaml:9:27: error: the exporter or Prometheus uses the label `user_type`
      hint: choose another name, such as `my_user_type`
    config.yaml:9:41: error: `1st` is not a valid name of a label
      hint: use letters, digits and `_`, and do not start with a digit
    config.yaml:9:49: error: the exporter or Prometheus uses the label `__name__`
      hint: choose another name, such as `my_name__`
    config.yaml:9:69: error: `floor` must be text, not a number
      hint: put it in quotes
    config.yaml:10:9: error: `name` is set twice
      hint: the target on line 4 has the same: make each unique
    config.yaml:11:8: error: `url` has no scheme
      hint: start it with `https://`
    config.yaml:12:13: error: `database` must be text, not a number
      hint: put it in quotes
    config.yaml:14:16: error: `api_key_env` is a second source of the API key, in addition to `api_key_file`
      hint: keep one of them
    config.yaml:16:12: error: `timeout` (20s) is not shorter than `interval` (20s)
      hint: polls of a target must not overlap: lower `timeout` or raise `interval`
    config.yaml:17:20: error: `accept_missing` has an unknown value
      hint: did you mean `modules`?
    config.yaml:18:21: error: `allow_plain_http` must be `true` or `false`, not text
      hint: `no` is text in YAML 1.2: write `false`
    config.yaml:20:29: error: `group` is set together with `login`
      hint: an exemption has one of `login`, `login_glob` and `group`: write two exemptions
    config.yaml:21:5: error: the exemption does not say which users it applies to
      hint: add one of `login`, `login_glob` and `group`
    config.yaml:22:18: error: `login_glob` would exempt all users
      hint: use a narrower pattern, such as `svc-*`
    config.yaml:22:31: error: `reason` has an unknown value
      hint: known values: `kiosk`, `service`, `break_glass`, `other`
    config.yaml:22:48: error: `expires` is not a valid date
      hint: write year, month and day, such as `2027-01-31`
    config.yaml:23:5: error: `reason` is missing
      hint: add `reason: service`
    config.yaml:23:13: error: `group` is not an XML id
      hint: write module and name with one dot between them, such as `base.group_system`
    config.yaml:24:23: error: `interval` is zero
      hint: give a duration such as `5m`, or remove the line
    config.yaml:24:65: error: `expect_blocked` has an unknown value
      hint: known values: `xmlrpc`, `jsonrpc`, `json2`, `database_manager`, `database_list`
    config.yaml:24:79: error: `name` is set twice
      hint: the vantage point on line 24 has the same: make each unique
    config.yaml:24:87: error: `url` must start with `https://` or `http://`
      hint: write it like `https://host.example.com`
    config.yaml:25:20: error: `cert_file` is set without `key_file`
      hint: add `key_file: PATH`
    config.yaml:25:42: error: `server_name` is not a host name
      hint: write only the name, such as `erp.example.com`
    config.yaml:26:10: error: `proxy` must start with `http://` or `https://` or `socks5://` or `socks5h://`
      hint: write it like `http://host.example.com`
    config.yaml:27:3: error: the API key is missing
      hint: add one of `api_key_file: PATH`, `api_key_env: VARIABLE`, `api_key_credential: NAME`
    config.yaml:27:9: error: `name` starts or ends with a space, or is longer than 100 characters
      hint: use a short name, such as `erp`
    config.yaml:28:8: error: `url` is plain http to another host: the API key would be sent in clear text
      hint: use `https://`, or set `allow_plain_http: true` in a trusted network
    config.yaml:30:21: error: `allow_plain_http` must be `true` or `false`, not text
      hint: `yes` is text in YAML 1.2: write `true`
    config.yaml:31:3: error: an entry of `targets` must be a mapping, not text
      hint: write `key: value` pairs, indented
    config.yaml:32:20: error: `Payroll` is not a valid name of a role
      hint: use lower case letters, digits and `_`, but not `administrators`, `all`, `any` or `total`
    config.yaml:32:30: error: `Payroll` is not an XML id
      hint: write module and name with one dot between them, such as `base.group_system`
    config.yaml:32:52: error: `settngs` is not a role, so it cannot be removed
      hint: did you mean `settings`?
    config.yaml:32:56: error: `total` is not a valid name of a role
      hint: use lower case letters, digits and `_`, but not `administrators`, `all`, `any` or `total`
    config.yaml:33:28: error: `names_in_alerts` must be `true` or `false`, not text
      hint: write it without quotes
    config.yaml:35:25: error: `url` has a query or a fragment
      hint: remove the `?` or `#` and everything after it
    config.yaml:35:49: error: `url` is missing
      hint: add `url: http://127.0.0.1:9093`
    config.yaml:36:11: error: unknown alert `OdooMfaTargetsDown`
      hint: did you mean `OdooMfaTargetDown`?
    config.yaml:36:70: error: `severity` has an unknown value
      hint: known values: `critical`, `warning`, `info`, `none`
    config.yaml:36:87: error: `threshold` must be a number, not text
      hint: write it without quotes and percent sign
    config.yaml:36:101: error: the exporter or Prometheus uses the label `alertname`
      hint: choose another name, such as `my_alertname`
    config.yaml:37:21: error: `disable` matches no metric family
      hint: did you mean `odoo_users`?
    config.yaml:37:33: error: `disable` cannot disable `odoo_up`
      hint: without it, a target that is down would go unnoticed
    config.yaml:38:23: error: `scrape` must be a list, not text
      hint: write the values in brackets: `[a, b]`
    config.yaml:38:42: error: an entry of `read` must be text, not a number
      hint: put it in quotes
    config.yaml:39:1: error: `privacy` is set twice
      hint: it stands on line 33 already: remove one of them
    "#);
}

#[test]
fn syntax_errors_have_a_position_and_show_no_content() {
    insta::assert_snapshot!(errors("targets:\n- name: erp\n  api_key: s3cret\n   url: x\n"), @"config.yaml:4:7: error: YAML: mapping values are not allowed in this context");
    insta::assert_snapshot!(errors("targets: [{name: erp, api_key: s3cret\n"), @"config.yaml:1:11: error: YAML: unclosed bracket '{'");
    insta::assert_snapshot!(errors("targets:\n- api_key: *s3cret\n"), @"config.yaml:2:12: error: YAML: reference to unknown value");
    insta::assert_snapshot!(errors("a: 1\n---\nb: 2\n"), @"config.yaml:3:1: error: YAML: only single YAML document expected but multiple found");
    insta::assert_snapshot!(errors(""), @r#"
    config.yaml:1:1: error: the configuration is empty
      hint: start with `targets:`
    "#);
    insta::assert_snapshot!(errors("targets: []"), @r#"
    config.yaml:1:10: error: `targets` is empty
      hint: add at least one target
    "#);
    insta::assert_snapshot!(errors("targets:"), @r#"
    config.yaml:1:8: error: `targets` has no value
      hint: give one, or remove the line
    "#);
}

#[test]
fn a_configuration_that_cannot_be_read_says_so() {
    let found = Config::load(Path::new("config.yaml"), &FakeEnv::default()).expect_err("no file");
    insta::assert_snapshot!(shown(&found), @r#"
    config.yaml: error: the configuration cannot be read: entity not found
      hint: create one with `odoo-mfa-exporter config init > config.yml` and set `--config.file config.yml`; `odoo-mfa-exporter demo` needs none
    "#);
}

#[test]
fn keys_come_from_one_of_four_sources() {
    let base = "targets: [{name: erp, url: 'http://127.0.0.1:8069', database: prod, SOURCE}]";
    let env = || {
        env()
            .variable("ODOO_KEY", CANARY)
            .variable("CREDENTIALS_DIRECTORY", "/run/credentials/ome")
            .file("/run/credentials/ome/erp", format!("  {CANARY}\r\n"), 0o440)
    };
    for source in [
        "api_key_file: erp.key",
        "api_key_file: /etc/ome/erp.key",
        "api_key_env: ODOO_KEY",
        "api_key_credential: erp",
    ] {
        let (config, warnings) = load_in(env(), &base.replace("SOURCE", source)).expect(source);
        assert_eq!(
            config.targets[0].api_key.current().expose_secret(),
            CANARY,
            "{source}"
        );
        assert_eq!(shown(&warnings), "", "{source}");
        let again = config.targets[0]
            .key_source
            .read(&env())
            .expect("the key is still there");
        assert_eq!(again.secret.expose_secret(), CANARY);
    }
    let yaml = base.replace("SOURCE", &format!("api_key: {CANARY}"));
    assert_eq!(
        load_in(env(), &yaml).expect("works").0.targets[0]
            .api_key
            .current()
            .expose_secret(),
        CANARY
    );
    insta::assert_snapshot!(warnings_in(env(), &yaml), @r#"
    config.yaml:1:78: warning: the configuration contains the API key itself
      hint: configurations get copied: put the key into a file with mode 600 and set `api_key_file: PATH`
    "#);
}

#[test]
fn a_key_that_cannot_be_right_is_refused() {
    let yaml = "
targets:
- {name: a, url: 'https://a.example', database: a, api_key_file: empty.key}
- {name: b, url: 'https://b.example', database: a, api_key_file: two.key}
- {name: c, url: 'https://c.example', database: a, api_key_file: bom.key}
- {name: d, url: 'https://d.example', database: a, api_key_env: ODOO_KEY}
- {name: e, url: 'https://e.example', database: a, api_key_env: c4nary5ecret0123456789abcdef-}
- {name: f, url: 'https://f.example', database: a, api_key_credential: erp}
- {name: g, url: 'https://g.example', database: a, api_key: ''}
";
    let env = env()
        .file("/etc/ome/empty.key", " \n", 0o600)
        .file("/etc/ome/two.key", format!("{CANARY}\n{CANARY}\n"), 0o600)
        .file("/etc/ome/bom.key", format!("\u{feff}{CANARY}\n"), 0o600);
    insta::assert_snapshot!(errors_in(env, yaml), @r#"
    config.yaml:3:66: error: `api_key_file` contains an empty key
      hint: write only the key
    config.yaml:4:66: error: `api_key_file` contains a key with white space
      hint: write only the key, on one line
    config.yaml:5:66: error: `api_key_file` contains a key with characters that API keys do not have
      hint: save it as plain text, without a byte order mark
    config.yaml:6:65: error: `api_key_env` names an environment variable that is not set
      hint: set it, or use another one
    config.yaml:7:65: error: `api_key_env` is not the name of an environment variable
      hint: write the name of the variable, such as `ODOO_API_KEY`, not the key
    config.yaml:8:72: error: `api_key_credential` needs systemd's credentials, but $CREDENTIALS_DIRECTORY is not set
      hint: add `LoadCredential=NAME:PATH` to the unit, or use `api_key_file`
    config.yaml:9:61: error: `api_key` is empty
      hint: give a value, or remove the line
    "#);
}

#[test]
fn real_files_are_read_with_their_mode() {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().expect("a directory");
    let (path, key) = (
        directory.path().join("config.yaml"),
        directory.path().join("erp.key"),
    );
    fs::write(&path, MINIMAL).expect("written");
    fs::write(&key, format!("{CANARY}\n")).expect("written");
    for (mode, warnings) in [(0o600, 0), (0o640, 0), (0o604, 1), (0o400, 0)] {
        fs::set_permissions(&key, fs::Permissions::from_mode(mode)).expect("the mode is set");
        let (config, found) = Config::load(&path, &ProcessEnv).expect("a good configuration");
        assert_eq!(config.targets[0].api_key.current().expose_secret(), CANARY);
        assert_eq!(found.len(), warnings, "{mode:o}");
    }
    fs::remove_file(&key).expect("removed");
    fs::create_dir(&key).expect("a directory in its place");
    let found = Config::load(&path, &ProcessEnv).expect_err("a directory is no key");
    assert!(
        found[0].message.contains("not a regular file"),
        "{}",
        found[0]
    );
}

#[test]
fn plain_http_is_for_this_machine_only_unless_allowed() {
    for host in [
        "localhost:8069",
        "127.0.0.1",
        "127.9.9.9:8069",
        "[::1]:8069",
        "erp.localhost",
    ] {
        assert_eq!(
            target(&MINIMAL.replace("https://erp.example.com", &format!("http://{host}")))
                .url
                .scheme(),
            "http"
        );
    }
    for host in [
        "erp.example.com",
        "10.0.0.1",
        "localhost.example.com",
        "127.0.0.1.example.com",
        "[::2]",
        "0.0.0.0",
    ] {
        let yaml = MINIMAL.replace("https://erp.example.com", &format!("http://{host}"));
        assert!(errors(&yaml).contains("plain http"), "{host}");
        assert_eq!(
            target(&format!("{yaml}  allow_plain_http: true\n"))
                .url
                .scheme(),
            "http"
        );
        assert!(
            errors(&format!("{yaml}  allow_plain_http: false\n")).contains("plain http"),
            "{host}"
        );
    }
}

#[test]
fn what_works_but_should_not_stay_is_a_warning() {
    let yaml = "
targets:
- name: erp
  url: https://erp.example.com/odoo
  database: prod
  api_key_file: erp.key
  surface: {vantages: [{name: outside}]}
- {name: erp2, url: https://erp.example.com/odoo/, database: prod, api_key_file: erp.key}
";
    let env = FakeEnv::default().file("/etc/ome/erp.key", CANARY, 0o644);
    insta::assert_snapshot!(warnings_in(env, yaml), @r#"
    config.yaml:4:8: warning: `url` has a path
      hint: Odoo's API is at the root: remove the path
    config.yaml:6:17: warning: `api_key_file`: all users of this host can read the file
      hint: a reader of the key can act as its account: `chmod o= FILE`
    config.yaml:7:24: warning: the vantage point has no `expect_blocked`, so it raises no alert
      hint: add `expect_blocked: [database_manager, database_list]`, or `[]` for no alert
    config.yaml:8:3: warning: `erp2` polls the same database as `erp`
      hint: sums over targets would count its users twice: remove one of them
    config.yaml:8:21: warning: `url` has a path
      hint: Odoo's API is at the root: remove the path
    config.yaml:8:82: warning: `api_key_file`: all users of this host can read the file
      hint: a reader of the key can act as its account: `chmod o= FILE`
    "#);
}

#[test]
fn exemptions_surface_and_the_rest_resolve_as_written() {
    let target = target(&with(
        "labels: {team: finance, env: prod}
accept_missing: [modules, api_keys]
exemptions:
- {login: kiosk-1, reason: kiosk, expires: 2027-01-01}
- {login_glob: 'svc-*', reason: service}
- {group: auth_totp_enforce.group_mfa_exempt, reason: other}
surface:
  vantages:
  - {name: outside, proxy: 'http://u:p@proxy.example.com:3128', expect_blocked: [xmlrpc, database_manager]}
  - {name: lan, url: 'http://10.0.0.1:8069', expect_blocked: []}",
    ));
    assert_eq!(
        target.labels,
        [
            ("env".into(), "prod".into()),
            ("team".into(), "finance".into())
        ]
    );
    assert_eq!(
        target.accept_missing,
        BTreeSet::from([Capability::Modules, Capability::ApiKeys])
    );
    assert_eq!(
        target.exemptions[0].expires,
        Some(jiff::civil::date(2027, 1, 1))
    );
    assert!(
        matches!(&target.exemptions[1].matcher, Matcher::Glob(glob) if glob.as_str() == "svc-*")
    );
    assert!(
        matches!(&target.exemptions[2].matcher, Matcher::Group(id) if id.module() == "auth_totp_enforce")
    );
    let surface = target.surface.as_ref().expect("a surface");
    assert_eq!(surface.interval.as_secs(), 3600);
    assert_eq!(surface.vantages[0].url, target.url);
    assert_eq!(
        surface.vantages[0].expect_blocked,
        BTreeSet::from([Endpoint::Xmlrpc, Endpoint::DatabaseManager])
    );
    assert_eq!(
        surface.vantages[0]
            .proxy
            .as_ref()
            .expect("a proxy")
            .expose()
            .password(),
        Some("p")
    );
    assert_eq!(surface.vantages[1].url.as_str(), "http://10.0.0.1:8069/");
}

#[test]
fn readers_are_users_certificates_or_all() {
    let (config, _) = load(&format!(
        "{MINIMAL}web: {{roles: {{scrape: ['*'], read: [alice, 'certificate:CN=x:y'], read_names: [alice]}}}}"
    ))
    .expect("it is right");
    let read: Vec<_> = config.web.read.into_iter().flatten().collect();
    assert_eq!(read, ["alice", "certificate:CN=x:y"]);
    insta::assert_snapshot!(errors(&format!(
        "{MINIMAL}web: {{roles: {{scrape: ['certificate:'], read: ['cert:alice'], read_names: ['*']}}}}"
    )), @"
    config.yaml:7:24: error: `scrape` does not name a certificate
      hint: write `certificate:NAME`
    config.yaml:7:48: error: `read` names a user who cannot exist: names of users have no `:`
      hint: write a client certificate as `certificate:NAME`
    config.yaml:7:76: error: `read_names` includes all clients
      hint: readers of names must sign in: list them
    ");
}

#[test]
fn roles_are_added_replaced_and_removed() {
    let (config, _) =
        load(&format!("{MINIMAL}privileged_roles: {{payroll: [hr_payroll.group_a], hr: [hr.group_hr_manager], website: []}}"))
            .expect("a good configuration");
    let groups = |name: &str| -> Vec<String> {
        let role = config.roles.iter().find(|(role, _)| *role == name);
        role.map(|(_, groups)| groups.iter().map(ToString::to_string).collect())
            .unwrap_or_default()
    };
    assert_eq!(groups("payroll"), ["hr_payroll.group_a"]);
    assert_eq!(groups("hr"), ["hr.group_hr_manager"]);
    assert_eq!(groups("settings"), ["base.group_system"]);
    assert!(!config.roles.contains("website"));
}

#[test]
fn families_are_switched_off_by_name_or_pattern_but_never_odoo_up() {
    let (config, _) = load(&format!(
        "{MINIMAL}metrics: {{disable: ['odoo_*', odoo_users]}}"
    ))
    .expect("a good configuration");
    assert!(
        config.metrics.is_enabled("odoo_up")
            && config.metrics.is_enabled("odoo_mfa_exporter_build_info")
    );
    assert!(
        !config.metrics.is_enabled("odoo_users") && !config.metrics.is_enabled("odoo_api_keys")
    );
}

#[test]
fn certificates_are_read_and_checked() {
    let key = rcgen::KeyPair::generate().expect("a key");
    let params = rcgen::CertificateParams::new(vec!["erp.example.com".into()]).expect("parameters");
    let certificate = params.self_signed(&key).expect("a certificate").pem();
    let env = || {
        env()
            .file("/etc/ome/ca.pem", certificate.clone(), 0o644)
            .file("/etc/ome/client.pem", certificate.clone(), 0o644)
            .file("/etc/ome/client.key", key.serialize_pem(), 0o600)
    };
    let yaml = with(
        "tls: {ca_file: ca.pem, cert_file: client.pem, key_file: client.key, server_name: erp.example.com}",
    );
    let (config, warnings) = load_in(env(), &yaml).expect("a good configuration");
    assert!(warnings.is_empty());
    let tls = &config.targets[0].tls;
    assert_eq!(
        tls.ca.as_ref().expect("an authority").pem,
        certificate.as_bytes()
    );
    assert_eq!(
        tls.client.as_ref().expect("a client").expose_key_pem(),
        key.serialize_pem().as_bytes()
    );
    let private: Vec<_> = key
        .serialize_pem()
        .lines()
        .nth(1)
        .into_iter()
        .map(str::to_owned)
        .collect();
    assert!(!format!("{config:?}").contains(&private[0]));

    let swapped = with("tls: {ca_file: client.key, cert_file: client.pem, key_file: ca.pem}");
    insta::assert_snapshot!(errors_in(env(), &swapped), @r#"
    config.yaml:7:18: error: `ca_file` contains no certificate
      hint: it must be PEM, with a line `-----BEGIN CERTIFICATE-----`
    config.yaml:7:63: error: `key_file` contains no private key
      hint: it must be PEM, with a line `-----BEGIN PRIVATE KEY-----`, and not encrypted
    "#);
}

#[test]
fn the_documented_examples_load() {
    let certificate =
        rcgen::generate_simple_self_signed(vec!["erp.example.com".into()]).expect("a certificate");
    let pem = certificate.cert.pem();
    let page = include_str!("../../../docs/configuration.md");
    let examples: Vec<_> = page
        .split("```yaml")
        .skip(1)
        .filter_map(|rest| rest.split("```").next())
        .collect();
    assert_eq!(examples.len(), 3);
    for example in examples {
        let env = FakeEnv::default()
            .file("/etc/odoo-mfa-exporter/erp.key", CANARY, 0o600)
            .file("/etc/ome/erp.key", CANARY, 0o600)
            .file("/etc/ome/hosting.key", CANARY, 0o600)
            .file("/etc/ome/alertmanager.password", CANARY, 0o600)
            .file("/etc/ome/desk.token", CANARY, 0o600)
            .file("/etc/ome/company-ca.pem", pem.clone(), 0o644)
            .file("/etc/ome/client.pem", pem.clone(), 0o644)
            .file(
                "/etc/ome/client.key",
                certificate.signing_key.serialize_pem(),
                0o600,
            )
            .variable("WAREHOUSE_KEY", CANARY);
        assert_eq!(warnings_in(env, example), "");
    }
}

#[test]
fn the_fingerprint_follows_the_content_and_not_the_key() {
    let fingerprint = |env: FakeEnv, yaml: &str| {
        load_in(env, yaml).map(|(config, _)| (config.targets[0].fingerprint, config.hash))
    };
    let (base, hash) = fingerprint(env(), MINIMAL).expect("good");
    let rotated = FakeEnv::default().file("/etc/ome/erp.key", "0123456789", 0o600);
    assert_eq!(
        fingerprint(rotated, &format!("# a comment\n{MINIMAL}")).expect("good"),
        (base, hash)
    );
    for change in [
        "  login: mfa\n",
        "  interval: 6m\n",
        "privileged_roles: {website: []}\n",
    ] {
        let (changed, changed_hash) =
            fingerprint(env(), &format!("{MINIMAL}{change}")).expect(change);
        assert!(changed != base && changed_hash != hash, "{change}");
    }
    let (same, changed_hash) = fingerprint(
        env(),
        &format!("{MINIMAL}privacy: {{store_logins: true}}\n"),
    )
    .expect("good");
    assert!(same == base && changed_hash != hash);
    assert!(hash < 1 << 48);
}

#[test]
fn no_secret_is_ever_shown() {
    let good = with(&format!("proxy: http://user:{CANARY}@proxy.example.com"))
        .replace("api_key_file: erp.key", &format!("api_key: {CANARY}"));
    let (config, warnings) = load(&good).expect("a good configuration");
    let proxy = config.targets[0].proxy.clone().expect("a proxy");
    let seen = format!("{config:?}{warnings:?}{proxy}");
    assert!(!seen.contains(CANARY), "{seen}");
    assert!(proxy.expose().as_str().contains(CANARY));

    // The secret in the wrong place, or in the right one of a file that is wrong.
    for (right, wrong) in [
        ("api_key_file: erp.key", "api_key: [CANARY]"),
        ("api_key_file: erp.key", "api_key: 'CANARY CANARY'"),
        ("api_key_file: erp.key", "api_key_file: CANARY"),
        ("api_key_file: erp.key", "api_key_env: CANARY"),
        ("api_key_file: erp.key", "api_key_credential: CANARY"),
        ("api_key_file: erp.key", "apikey: CANARY"),
        ("api_key_file: erp.key", "api: CANARY"),
        (
            "api_key_file: erp.key",
            "api_key: CANARY\n  api_key: CANARY",
        ),
        ("api_key_file: erp.key", "api_key: *CANARY"),
        ("api_key_file: erp.key", "api_key: \"CANARY"),
        ("api_key_file: erp.key", "api_key: {CANARY"),
        ("api_key_file: erp.key", "api_key: CANARY\n   x: y"),
        (
            "https://erp.example.com",
            "https://user:CANARY@erp.example.com",
        ),
        ("https://erp.example.com", "https://user:CANARY@:80"),
        ("https://erp.example.com", "user:CANARY@erp.example.com"),
        (
            "https://erp.example.com",
            "https://erp.example.com/?password=CANARY",
        ),
        (
            "database: prod",
            "database: prod\n  proxy: ftp://user:CANARY@proxy",
        ),
        ("database: prod", "database: prod\n  interval: CANARY"),
        (
            "database: prod",
            "database: prod\n  exemptions: [{login: a, reason: CANARY, expires: CANARY}]",
        ),
    ] {
        let yaml = MINIMAL.replace(right, &wrong.replace("CANARY", CANARY));
        let found = load(&yaml).expect_err(wrong);
        assert!(
            !format!("{found:?}{}", shown(&found)).contains(CANARY),
            "{wrong}: {}",
            shown(&found)
        );
    }
}

#[test]
fn a_fleet_that_shares_one_anchor_loads() {
    let mut yaml = String::from(
        "targets:\n- &base {name: t, url: https://t.example.com, database: t, api_key_file: erp.key}\n",
    );
    for n in 1..2_000 {
        yaml += &format!("- {{<<: *base, name: t{n}, database: t{n}, labels: {{team: a}}}}\n");
    }
    let (config, warnings) = load(&yaml).unwrap_or_else(|found| panic!("{}", found[0]));
    assert_eq!((config.targets.len(), warnings.len()), (2_000, 0));
}

#[test]
fn exemptions_of_the_defaults_are_added_and_notes_change_no_fingerprint() {
    let with = |note: &str| {
        format!(
            "defaults: {{exemptions: [{{login: shared, reason: service{note}}}]}}\n{}",
            with(&format!(
                "exemptions: [{{login: own, reason: kiosk{note}}}]"
            ))
        )
    };
    let (plain, _) = load(&with("")).expect("good");
    let exempt: Vec<_> = plain.targets[0]
        .exemptions
        .iter()
        .map(|it| (it.whom(), it.shared))
        .collect();
    assert_eq!(
        exempt,
        [
            ("login own".to_owned(), false),
            ("login shared".to_owned(), true)
        ]
    );
    assert_eq!(plain.shared_exemptions().count(), 1);
    let noted = with(", approved_by: Jane Doe, ticket: SEC-7, comment: for now");
    let (noted, _) = load(&noted).expect("good");
    let note = &noted.targets[0].exemptions[0].note;
    assert_eq!(note.approved_by.as_deref(), Some("Jane Doe"));
    assert_eq!(note.ticket.as_deref(), Some("SEC-7"));
    assert_eq!(noted.targets[0].fingerprint, plain.targets[0].fingerprint);
}

#[test]
fn accepted_findings_are_read_and_wrong_ones_are_named() {
    let with = |entry: &str| format!("{MINIMAL}accept_findings: [{entry}]\n");
    let (config, warnings) = load(&with(
        "{finding: many_keys, targets: ['er*'], reason: why, expires: 2027-01-31}",
    ))
    .expect("good");
    assert!(warnings.is_empty());
    let entry = &config.accept_findings[0];
    assert!(entry.concerns("erp") && !entry.concerns("shop"));
    assert_eq!(entry.expires, Some(jiff::civil::date(2027, 1, 31)));
    let (plain, _) = load(MINIMAL).expect("good");
    assert_eq!(config.targets[0].fingerprint, plain.targets[0].fingerprint);
    for (entry, said) in [
        ("{finding: many_keys}", "`reason` is missing"),
        ("{reason: why}", "`finding` is missing"),
        (
            "{finding: many_key, reason: why}",
            "did you mean `many_keys`?",
        ),
        (
            "{finding: capability_missing, reason: why}",
            "accept_missing",
        ),
        (
            "{finding: acceptance_expired, reason: why}",
            "cannot be accepted",
        ),
        (
            "{finding: many_keys, reason: why, targets: ['*']}",
            "remove `targets`",
        ),
        ("{finding: many_keys, reason: why, targets: []}", "is empty"),
    ] {
        let found = load(&with(entry)).expect_err(entry);
        let text: String = found.iter().map(ToString::to_string).collect();
        assert!(text.contains(said), "{entry}: {text}");
    }
    let (_, warnings) = load(&with(
        "{finding: many_keys, reason: why, targets: [missing]}",
    ))
    .expect("good");
    assert!(warnings[0].to_string().contains("matches no target"));
}
