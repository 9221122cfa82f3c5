// The rules and dashboards in alerts/ and dashboards/ as a Prometheus mixin. To change them, extend them:
//   (import 'packaging/mixin/mixin.libsonnet') + { _config+:: { runbookUrl: 'https://wiki.example.com/odoo-mfa/' } }
local rules = std.parseYaml(importstr '../../alerts/odoo-mfa.rules.yml');

{
  _config+:: {
    // Prefix of the runbook URLs, before the name of the alert and `.md`. null: the pages of this repository.
    runbookUrl: null,
  },

  local withRunbook(rule) =
    if $._config.runbookUrl == null then rule
    else rule { annotations+: { runbook_url: $._config.runbookUrl + rule.alert + '.md' } },

  local groups(kind, change) = [
    group { rules: [change(rule) for rule in group.rules if std.objectHas(rule, kind)] }
    for group in rules.groups
    if std.length([rule for rule in group.rules if std.objectHas(rule, kind)]) > 0
  ],

  prometheusRules+:: { groups+: groups('record', function(rule) rule) },
  prometheusAlerts+:: { groups+: groups('alert', withRunbook) },

  grafanaDashboardFolder:: 'Odoo MFA',
  grafanaDashboards+:: {
    'odoo-mfa-exporter.json': import '../../dashboards/odoo-mfa-exporter.json',
    'odoo-mfa-fleet.json': import '../../dashboards/odoo-mfa-fleet.json',
    'odoo-mfa-target.json': import '../../dashboards/odoo-mfa-target.json',
  },
}
