//! The section `alerting`.

use std::time::Duration;

use super::*;
use crate::domain::alert::{Matcher, Rule, Severity};

fn alerting_env() -> FakeEnv {
    env()
        .file(
            "/etc/ome/password",
            format!("{CANARY} with blanks\n"),
            0o600,
        )
        .file("/etc/ome/token", CANARY, 0o600)
}

#[test]
fn receivers_rules_and_silences_resolve_and_show_no_secret() {
    let yaml = format!(
        "{MINIMAL}
alerting:
  alertmanagers:
  - url: http://127.0.0.1:9093
  - {{url: 'https://am.example.com/prefix', dns: true, basic_auth: {{username: me, password_file: password}}}}
  webhooks:
  - {{name: desk, url: 'https://desk.example.com/{CANARY}', send_resolved: false, authorization: {{credentials_file: token}}}}
  rules:
    OdooMfaDisabled: {{threshold: 5, keep_firing_for: 10m}}
    OdooMfaApiKeyOld: {{enabled: false}}
    OdooMfaTargetDown: {{severity: critical, for: 30m, labels: {{team: ops}}, annotations: {{note: 'of {{{{ $labels.target }}}}'}}}}
  silences:
  - {{labels: {{target: 'test-*', team: lab}}, rules: [OdooMfaExemptionStale]}}
"
    );
    let (config, warnings) =
        load_in(alerting_env(), &yaml).unwrap_or_else(|it| panic!("{}", shown(&it)));
    assert_eq!(shown(&warnings), "");
    let alerting = &config.alerting;
    let receivers: Vec<_> = alerting
        .receivers
        .iter()
        .map(|it| (it.name.as_str(), it.kind))
        .collect();
    assert_eq!(
        receivers,
        [
            (
                "http://127.0.0.1:9093",
                ReceiverKind::Alertmanager { dns: false }
            ),
            (
                "https://am.example.com/prefix",
                ReceiverKind::Alertmanager { dns: true }
            ),
            (
                "desk",
                ReceiverKind::Webhook {
                    send_resolved: false
                }
            ),
        ]
    );
    assert_eq!(
        alerting.receivers[1].url.as_str(),
        "https://am.example.com/prefix/"
    );
    let Some(Auth::Basic { password, .. }) = &alerting.receivers[1].auth else {
        panic!("no password");
    };
    assert_eq!(password.expose_secret(), format!("{CANARY} with blanks"));
    let rules = &alerting.rules;
    assert_eq!(rules.get(Rule::Disabled).threshold, 5.0);
    assert_eq!(
        rules.get(Rule::Disabled).keep_firing,
        Duration::from_secs(600)
    );
    assert!(!rules.get(Rule::ApiKeyOld).enabled);
    let down = rules.get(Rule::TargetDown);
    assert_eq!(down.severity, Some(Severity::Critical));
    assert_eq!(down.hold, Duration::from_secs(1800));
    assert_eq!(down.labels["team"], "ops");
    assert_eq!(down.annotations[0].0, "note");
    let silence = &rules.silences[0];
    assert!(silence.rules.contains(&Rule::ExemptionStale));
    assert_eq!(
        silence.matchers[1],
        ("team".into(), Matcher::Text("lab".into()))
    );
    assert!(!format!("{config:?}").contains(CANARY), "{config:?}");
}

#[test]
fn errors_in_alerting_are_reported() {
    let yaml = format!(
        "{MINIMAL}
alerting:
  alertmanagers:
  - {{url: 'http://10.0.0.1:9093', dns: true}}
  - {{url: 'http://am:9093', basic_auth: {{username: me, password_file: none}}, authorization: {{credentials_file: token}}}}
  - {{url: 'http://am:9094', basic_auth: {{username: me}}}}
  webhooks: [{{url: 'http://desk'}}]
  rules:
    OdooMfaTargetDown: {{threshold: 1, annotations: {{a: '{{{{ .Value }}}}'}}}}
    OdooMfaDisabled: {{threshold: -1}}
  silences:
  - {{labels: {{}}}}
  - {{labels: {{target: '*'}}, rules: [OdooMfaDisable]}}
  - {{labels: {{target: a}}, rules: [OdooMfaDisable]}}
"
    );
    insta::assert_snapshot!(errors_in(alerting_env(), &yaml), @r#"
    config.yaml:10:40: error: `dns` is set for an IP address
      hint: use a host name in `url`, or remove `dns`
    config.yaml:11:93: error: `authorization` is set together with `basic_auth`
      hint: keep one of them
    config.yaml:12:41: error: `password_file` is missing
      hint: add `password_file: PATH`
    config.yaml:13:14: error: `name` is missing
      hint: add `name: desk`
    config.yaml:15:36: error: `threshold` is set for a rule without a threshold
      hint: remove the line
    config.yaml:15:56: error: `a` is not a template
      hint: only `{{ $labels.NAME }}` and `{{ $value }}` may stand between double braces
    config.yaml:16:34: error: `threshold` is not a number of at least 0
      hint: write a positive number
    config.yaml:18:5: error: `silences` silences every target
      hint: set at least one label; to disable a rule for all targets, set `enabled: false`
    config.yaml:19:23: error: `target` matches everything
      hint: to disable a rule for all targets, set `enabled: false`
    config.yaml:19:37: error: `rules` is an unknown alert
      hint: did you mean `OdooMfaDisabled`?
    config.yaml:20:35: error: `rules` is an unknown alert
      hint: did you mean `OdooMfaDisabled`?
    "#);
}

/// An editor's byte order mark would be a part of the password.
#[test]
fn a_secret_with_a_byte_order_mark_is_refused() {
    let yaml = format!(
        "{MINIMAL}
alerting:
  alertmanagers: [{{url: 'http://am:9093', basic_auth: {{username: me, password_file: marked}}}}]
"
    );
    let env = env().file("/etc/ome/marked", format!("\u{feff}{CANARY}\n"), 0o600);
    insta::assert_snapshot!(errors_in(env, &yaml), @r"
    config.yaml:9:85: error: `password_file` contains a secret with a byte order mark
      hint: save it as plain text, without a byte order mark
    ");
}
