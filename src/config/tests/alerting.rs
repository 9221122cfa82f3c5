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
fn what_is_wrong_in_alerting_is_said() {
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
    insta::assert_snapshot!(errors_in(alerting_env(), &yaml), @"");
}
