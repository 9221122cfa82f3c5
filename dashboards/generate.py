#!/usr/bin/env python3
"""The one source of the three Grafana dashboards: `generate.py` writes odoo-mfa-*.json beside it, `generate.py --check` fails where they differ.

Classic dashboard JSON, which file provisioning takes. Only Python's standard library.
Queries aggregate with max by (target, ...), so that replicas of the exporter do not count twice.
"""
import json
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
REPOSITORY = "https://github.com/odoo-mfa-exporter/odoo-mfa-exporter/blob/main/"
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
RED, ORANGE, YELLOW, GREEN, BLUE, GREY = "red", "orange", "yellow", "green", "blue", "text"
FLEET, TARGET, EXPORTER = "odoo-mfa-fleet", "odoo-mfa-target", "odoo-mfa-exporter"
# Coverage less the coverage target.
MARGIN_STEPS = ((None, ORANGE), (0, GREEN))
BAD_STEPS = ((None, GREEN), (1, RED))
WARN_STEPS = ((None, GREEN), (1, ORANGE))
# In tables a 0 is quiet.
BAD_CELL = ((None, "transparent"), (1, RED))
WARN_CELL = ((None, GREY), (1, ORANGE))
UP = {"0": ("down", RED), "1": ("up", GREEN)}
YES_BAD = {"0": ("no", GREEN), "1": ("yes", RED)}
YES_GOOD = {"0": ("no", ORANGE), "1": ("yes", GREEN)}
TO_TARGET = (
    "Open this target",
    f"/d/{TARGET}?var-datasource=${{datasource}}&var-target=${{__data.fields.Target}}&${{__url_time_range}}",
)
SERIES_TO_TARGET = (
    "Open this target",
    f"/d/{TARGET}?var-datasource=${{datasource}}&var-target=${{__field.labels.target}}&${{__url_time_range}}",
)
TO_RUNBOOK = ("Open the runbook", REPOSITORY + "docs/runbooks/${__data.fields.Alert}.md")


def fleet():
    sel = 'target=~"$target", job=~"$job", instance=~"$instance"'
    people = sel + ', user_type=~"$user_type"'
    coverage = f"max by (target) (odoo_mfa_coverage_ratio{{{people}}})"
    known = f"max by (target, user_type) (odoo_mfa_protected_users{{{people}}})"
    eligible = f"(max by (target, user_type) (odoo_mfa_eligible_users{{{people}}}) and {known})"
    wanted = f"max by (target, user_type) (odoo_mfa_coverage_target_ratio{{{people}}})"
    # Prometheus knows the rules if their watchdog fires.
    alerts = 'ALERTS{alertname=~"OdooMfa.*", alertstate="firing", severity=~"critical|warning", target=~"$target|", job=~"$job|"}'
    # The last known value within the range: a target that is down at its end can still be among the worst.
    worst = "max by (target) (last_over_time(odoo_mfa_coverage_ratio{%s}[$__range] @ end()))" % people
    return Dashboard(
        FLEET, "Odoo MFA / Fleet", "All Odoo targets: worst first, coverage over time, targets that are down, missing permissions.",
        variables=[
            query_variable("target", "Target", "label_values(odoo_poll_interval_seconds, target)", multi=True),
            query_variable("user_type", "User type", "label_values(odoo_mfa_eligible_users, user_type)", default="internal"),
            *instance_variables(),
        ],
        annotations=[alert_annotation('severity="critical"')],
    ).row("Now", [
        stat("Coverage", 5, "Protected users over eligible ones, of the targets whose figures are known (see the next panel). Green from the coverage target on: the mean of those targets, by eligible users.",
             [(f"sum({known}) / sum({eligible})", "coverage"), (f"sum({eligible} * {wanted}) / sum({eligible} and {wanted})", "coverage target")],
             unit="percentunit", steps=((None, ORANGE),), decimals=1, threshold="coverage target"),
        stat("Figures known", 4, "Targets whose coverage is known now. The others are down, or the polling account lacks permissions; they are in no total on this page.",
             [(f"count({coverage}) or vector(0)", "known"), (f"count(max by (target) (odoo_poll_interval_seconds{{{sel}}}))", "configured")],
             color="value", steps=((None, BLUE),)),
        stat("Targets down", 3, "Targets whose last poll failed.",
             f"count(max by (target) (odoo_up{{{sel}}}) == 0) or 0 * count(odoo_poll_interval_seconds{{{sel}}})", steps=WARN_STEPS),
        stat("Administrators without MFA", 4, "Users in settings or access_rights who are unprotected and overdue, summed over the targets whose figures are known. Each target pages.",
             f'sum(max by (target) (odoo_role_users_without_mfa_past_grace{{{sel}, role=~"settings|access_rights"}}))', steps=BAD_STEPS),
        stat("Privileged without MFA", 4, "Distinct users in any role who are unprotected, with or without grace period, of the targets whose figures are known.",
             f"sum(max by (target) (odoo_privileged_users_without_mfa{{{sel}}}))", steps=WARN_STEPS),
        stat("Firing alerts", 4, "Alerts of severity critical or warning that fire in Prometheus.",
             f'count({alerts}) or 0 * count(ALERTS{{alertname="OdooMfaWatchdog"}})', steps=WARN_STEPS, empty="no rules"),
    ], height=4).row("Targets", [
        table("Worst coverage first", 24,
              "One line for each target. An empty cell means unknown: the target is down, or the polling account lacks permissions. Click a target to open it.",
              {
                  "Up": f"max by (target) (odoo_up{{{sel}}})",
                  "Coverage": coverage,
                  "Over target": f"{coverage} - max by (target) (odoo_mfa_coverage_target_ratio{{{people}}})",
                  "Eligible": f"max by (target) (odoo_mfa_eligible_users{{{people}}})",
                  "Unprotected": f"max by (target) (odoo_mfa_eligible_users{{{people}}}) - max by (target) (odoo_mfa_protected_users{{{people}}})",
                  "Admins without": f'max by (target) (odoo_role_users_without_mfa_past_grace{{{sel}, role=~"settings|access_rights"}})',
                  "Privileged without": f"max by (target) (odoo_privileged_users_without_mfa{{{sel}}})",
                  "Enforced": f"max by (target) (odoo_mfa_enforced{{{people}}})",
                  "Bypasses": f"sum by (target) (max by (target, mechanism) (odoo_mfa_bypass_present{{{sel}}}))",
                  "Missing": f"count by (target) (max by (target, capability) (odoo_capability{{{sel}}}) == 0) or 0 * max by (target) (odoo_capability{{{sel}, capability=\"users\"}})",
                  "Last success": f"time() - max by (target) (odoo_poll_last_success_timestamp_seconds{{{sel}}})",
              },
              rename={"target": "Target"}, sort=("Coverage", False),
              columns={
                  "Target": dict(link=TO_TARGET),
                  "Up": dict(mappings=UP, cell="color-text", width=70),
                  "Coverage": dict(unit="percentunit", decimals=1, steps=((None, BLUE),), cell="gauge", min=0, max=1, width=180),
                  "Over target": dict(unit="percentunit", decimals=1, steps=MARGIN_STEPS, cell="color-text", width=105),
                  "Eligible": dict(width=85),
                  "Unprotected": dict(width=105),
                  "Admins without": dict(steps=BAD_CELL, cell="color-background", width=135),
                  "Privileged without": dict(steps=WARN_CELL, cell="color-text", width=160),
                  "Enforced": dict(mappings=YES_GOOD, cell="color-text", width=90),
                  "Bypasses": dict(steps=WARN_CELL, cell="color-text", width=90),
                  "Missing": dict(steps=WARN_CELL, cell="color-text", width=80),
                  "Last success": dict(unit="s", decimals=0, width=110),
              }),
    ], height=10).row("Over time", [
        series("Coverage of the worst 15", 10, "Coverage of the 15 targets whose last known one in the time range is worst; dashed, the highest coverage target. A gap is a time in which a target was down.",
               [(f"{coverage} and on (target) bottomk(15, {worst})", "{{target}}"), (f"max({wanted})", "coverage target")], unit="percentunit", maximum=1, minimum=0, dashed="/coverage target/", link=SERIES_TO_TARGET),
        bars("Coverage against last week", 6, "Coverage now less the coverage a week ago: the 15 targets that lost most.",
             f"bottomk(15, {coverage} - max by (target) (odoo_mfa_coverage_ratio{{{people}}} offset 1w))", "{{target}}", unit="percentunit", steps=((None, RED), (-0.005, GREY), (0.005, GREEN)), minimum=None),
        series("Privileged without MFA", 8, "Distinct users in a role without an accepted factor, with or without grace period. In a gap, the target was down or had no such users.",
               # Not stacked: a target that is down would lower the total.
               [(f"max by (target) (odoo_privileged_users_without_mfa{{{sel}}}) > 0", "{{target}}")], minimum=0, link=SERIES_TO_TARGET, decimals=0),
    ], height=9).row("Unprotected users and transitions", [
        bars("Unprotected users", 12, "Eligible users without an accepted factor: the 15 targets with the most.",
             f"topk(15, max by (target) (odoo_mfa_eligible_users{{{people}}}) - max by (target) (odoo_mfa_protected_users{{{people}}}))", "{{target}}", steps=((None, GREEN), (1, ORANGE), (50, RED))),
        series("Enrolled and disabled", 12, "Users who enrolled a first factor, and (below zero) users who lost their last one; each point is the sum of the preceding day. Leaving and archiving do not count.",
               [(f'sum(max by (target, user_type) (increase(odoo_mfa_transitions_total{{{people}, transition="enrolled"}}[1d])))', "enrolled, sum of the day before"),
                (f'-sum(max by (target, user_type) (increase(odoo_mfa_transitions_total{{{people}, transition="disabled"}}[1d])))', "disabled, sum of the day before")],
               colors={"enrolled, sum of the day before": GREEN, "disabled, sum of the day before": RED}, decimals=0),
    ], height=9).row("Down, missing permissions, alerts", [
        table("Down", 6, "Targets whose polls fail, with the reason of the last failure.",
              {"Value": f"max by (target, reason) (odoo_poll_failing{{{sel}}})"},
              rename={"target": "Target", "reason": "Reason"}, hide=["Value"], columns={"Target": dict(link=TO_TARGET), "Reason": dict()}, empty="No target is known to be down."),
        table("Missing permissions", 8, "Capabilities that the polling account lacks, and whether the configuration accepts that. Figures that need them are not exported.",
              {"Value": f"max by (target, capability) (odoo_capability{{{sel}}}) == 0",
               "Accepted": f"max by (target, capability) (odoo_capability_accepted_missing{{{sel}}}) and on (target, capability) max by (target, capability) (odoo_capability{{{sel}}}) == 0"},
              rename={"target": "Target", "capability": "Capability"}, hide=["Value"],
              columns={"Target": dict(link=TO_TARGET), "Capability": dict(), "Accepted": dict(mappings={"1": ("yes", GREEN)}, cell="color-text", width=90)}, empty="Nothing is known to be missing."),
        table("Firing alerts", 10, "Alerts of severity critical or warning that fire in Prometheus. Click one to open its runbook.",
              {"Value": f"max by (alertname, severity, target) ({alerts})"},
              rename={"alertname": "Alert", "severity": "Severity", "target": "Target"}, order=["Severity", "Alert", "Target"], hide=["Value"], sort=("Severity", False),
              columns={"Alert": dict(link=TO_RUNBOOK), "Severity": dict(mappings=SEVERITY, cell="color-text", width=90), "Target": dict(link=TO_TARGET, width=110)}, empty="None."),
    ], height=9)


def target():
    sel = 'target="$target", job=~"$job", instance=~"$instance"'

    def by(labels, family, extra=""):
        return f"max by ({labels}) ({family}{{{sel}{extra}}})"

    def one(family, extra=""):
        return f"max({family}{{{sel}{extra}}})"

    return Dashboard(
        TARGET, "Odoo MFA / Target", "One Odoo database: user types and roles, factors, API keys, enforcement, exposed endpoints, polls.",
        variables=[query_variable("target", "Target", "label_values(odoo_poll_interval_seconds, target)"), *instance_variables()],
        annotations=[
            alert_annotation('target="$target"'),
            # The window grows with the step: on long ranges a fixed one would miss the events between two points.
            annotation("Users disabled their factor", RED, f'sum(max by (user_type) (increase(odoo_mfa_transitions_total{{{sel}, transition="disabled"}}[$__rate_interval]))) > 0.5', "A second factor was disabled"),
            annotation("A user became privileged", YELLOW, f'max(increase(odoo_privilege_transitions_total{{{sel}, transition="granted"}}[$__rate_interval])) > 0.5', "A user became privileged"),
        ],
    ).row("Now", [
        stat("Polls", 3, "Up if the last poll succeeded. After a failed poll the figures are withdrawn: an empty panel means 'unknown', never 0.",
             one("odoo_up"), mappings=UP, steps=((None, RED), (1, GREEN))),
        stat("Coverage, internal", 4, "Protected over eligible internal users. Green from the coverage target on.",
             [(one("odoo_mfa_coverage_ratio", INTERNAL), "coverage"),
              # Alone it would be shown as the coverage.
              (f"{one('odoo_mfa_coverage_target_ratio', INTERNAL)} and on () {one('odoo_mfa_coverage_ratio', INTERNAL)}", "coverage target")],
             unit="percentunit", decimals=1, steps=((None, ORANGE),), threshold="coverage target"),
        stat("Unprotected, internal", 4, "Eligible internal users without an accepted factor, including those in their grace period.",
             f'{one("odoo_mfa_eligible_users", INTERNAL)} - {one("odoo_mfa_protected_users", INTERNAL)}', steps=WARN_STEPS),
        stat("Privileged without MFA", 4, "Distinct users in a role without an accepted factor, with or without grace period.", one("odoo_privileged_users_without_mfa"), steps=BAD_STEPS),
        stat("Protected administrators", 4, "Protected users in settings. If there is exactly one, and no other user in settings, a lost phone locks the administrators out.",
             one("odoo_admins_with_mfa"), steps=((None, RED), (1, ORANGE), (2, GREEN))),
        stat("Policy in force", 5, "What makes a second factor mandatory: the parameter, and its module installed.",
             f"{by('policy', 'odoo_mfa_policy')} == 1", legend="{{policy}}", text="name", steps=((None, GREEN),), fields={"none": ORANGE}),
    ], height=4).row("Coverage", [
        series("Coverage by user type", 12, "Protected over eligible users; dashed, the coverage target. A gap is a time in which the target was down.",
               [(by("user_type", "odoo_mfa_coverage_ratio"), "{{user_type}}"), (by("user_type", "odoo_mfa_coverage_target_ratio"), "{{user_type}}, coverage target")],
               unit="percentunit", minimum=0, maximum=1, dashed="/coverage target/"),
        series("Internal users", 12, "Protected, in grace, and unprotected with the grace period over: together all eligible internal users.",
               [(one("odoo_mfa_protected_users", INTERNAL), "protected"),
                (one("odoo_mfa_grace_users", INTERNAL), "in grace"),
                (f'{one("odoo_mfa_eligible_users", INTERNAL)} - {one("odoo_mfa_protected_users", INTERNAL)} - {one("odoo_mfa_grace_users", INTERNAL)}', "overdue")],
               stack=True, minimum=0, decimals=0, colors={"protected": GREEN, "in grace": YELLOW, "overdue": RED}),
    ], height=9).row("Users and roles", [
        table("By user type", 15, "Users by type. Eligible: active and not exempt. Dormant: unprotected, without a login for the dormancy period. Password RPC: users whose password alone may open XML-RPC or JSON-RPC, an upper bound.",
              {
                  "Active": by("user_type", "odoo_users", ', state="active"'),
                  "Exempt": f"sum by (user_type) ({by('user_type, reason', 'odoo_mfa_exempt_users')})",
                  "Eligible": by("user_type", "odoo_mfa_eligible_users"),
                  "Protected": by("user_type", "odoo_mfa_protected_users"),
                  "In grace": by("user_type", "odoo_mfa_grace_users"),
                  "Dormant": by("user_type", "odoo_mfa_dormant_unprotected_users"),
                  "Enforced": by("user_type", "odoo_mfa_enforced"),
                  "Password RPC": by("user_type", "odoo_password_rpc_users"),
                  "Archived": by("user_type", "odoo_users", ', state="archived"'),
              }, rename={"user_type": "User type"},
              columns={"User type": dict(width=85), "Active": dict(width=70), "Exempt": dict(width=75), "Eligible": dict(width=75), "Protected": dict(width=85), "In grace": dict(width=80),
                       "Dormant": dict(width=85), "Enforced": dict(mappings=YES_GOOD, cell="color-text", width=85), "Password RPC": dict(width=120), "Archived": dict()}),
        table("By role", 9, "Eligible users by role; a user may be in several. 'Overdue' (unprotected, grace period over) is what alerts.",
              {
                  "Users": by("role", "odoo_role_users"),
                  "Without MFA": by("role", "odoo_role_users_without_mfa"),
                  "Overdue": by("role", "odoo_role_users_without_mfa_past_grace"),
                  "Exempt": by("role", "odoo_role_exempt_users"),
              }, rename={"role": "Role"}, sort=("Overdue", True),
              columns={"Role": dict(), "Users": dict(width=75), "Without MFA": dict(width=110, steps=WARN_CELL, cell="color-text"), "Overdue": dict(width=100, steps=BAD_CELL, cell="color-background"), "Exempt": dict(width=75, steps=WARN_CELL, cell="color-text")}),
    ], height=10).row("Roles and losses", [
        series("Without MFA by role", 9, "Users in each role without an accepted factor, in grace or not.", [(by("role", "odoo_role_users_without_mfa"), "{{role}}")], minimum=0, decimals=0),
        series("Phishing-resistant by role", 8, "Share of the users in each role who have a passkey, the only factor of Odoo that resists phishing.",
               [(f"{by('role', 'odoo_role_users_with_passkey')} / {by('role', 'odoo_role_users')}", "{{role}}")], unit="percentunit", minimum=0, maximum=1),
        series("Recently unprotected", 7, "Users who lost their protection within the 7 days before and were still without it.",
               [(by("user_type", "odoo_mfa_recently_unprotected_users"), "{{user_type}}")], minimum=0, decimals=0),
    ], height=8).row("Factors", [
        series("Enrolled factors", 8, "Active users who enrolled a factor, exempt or not. Users with both are in both.",
               [(f"sum by (method) ({by('method, user_type', 'odoo_mfa_enrolled_users')})", "{{method}}")], minimum=0, decimals=0),
        series("Enrolled and disabled", 8, "Users who enrolled a first factor, and (below zero) users who lost their last one, within the preceding day.",
               [(f'sum(max by (user_type) (increase(odoo_mfa_transitions_total{{{sel}, transition="enrolled"}}[1d])))', "enrolled, sum of the day before"),
                (f'-sum(max by (user_type) (increase(odoo_mfa_transitions_total{{{sel}, transition="disabled"}}[1d])))', "disabled, sum of the day before")],
               colors={"enrolled, sum of the day before": GREEN, "disabled, sum of the day before": RED}, decimals=0),
        bars("Bypasses and weak spots", 8, "Trusted browsers skip the second factor. A lost phone locks out users with one method. Odoo cannot see the second factor of users linked to an identity provider.",
             [(one("odoo_mfa_trusted_devices"), "Trusted browsers"), (one("odoo_mfa_trusted_device_users"), "Own a trusted browser"),
              (f"sum({by('user_type', 'odoo_mfa_single_factor_users')})", "With one method"),
              (f"sum({by('user_type, provider', 'odoo_mfa_sso_users')})", "Linked to SSO"),
              (f"sum({by('user_type', 'odoo_mfa_dormant_unprotected_users')})", "Dormant, unprotected")], steps=((None, BLUE),)),
    ], height=9).row("API keys", [
        bars("API keys to review", 8, "Active API keys. Those of archived users become active again when the owner is unarchived.",
             [(f"sum({by('scope', 'odoo_api_keys')})", "Active"), (one("odoo_api_keys_of_privileged_users"), "Of privileged users"),
              (one("odoo_api_keys_of_unprotected_users"), "Of unprotected users"), (one("odoo_api_keys_of_archived_users"), "Of archived users"),
              (one("odoo_api_keys_without_expiry"), "Without expiry"), (one("odoo_api_keys_unused", ', unused_for="ge_90d"'), "Unused for 90 days"),
              (f"sum({by('due', 'odoo_api_keys_expiring')})", "Expire within 30 days")], steps=((None, BLUE),)),
        series("Active API keys by age", 8, "Active API keys by age; the sum is all of them.",
               [(one("odoo_api_keys_by_age", f', age="{age}"'), name) for age, name in AGES.items()], stack=True, minimum=0, decimals=0),
        series("API keys created and deleted", 8, "API keys created, revoked and expired within the preceding day.",
               [(f"max by (transition) (increase(odoo_api_key_transitions_total{{{sel}}}[1d]))", "{{transition}}, sum of the day before")], minimum=0, decimals=0),
    ], height=8).row("Enforcement and exposed endpoints", [
        table("Bypasses of the second factor", 7, "Mechanisms that bypass the second factor, and whether the configuration accepts them.",
              {"Present": by("mechanism", "odoo_mfa_bypass_present"), "Accepted": by("mechanism", "odoo_mfa_bypass_accepted")}, rename={"mechanism": "Mechanism"},
              columns={"Mechanism": dict(), "Present": dict(mappings=YES_BAD, cell="color-text", width=90), "Accepted": dict(mappings=YES_GOOD, cell="color-text", width=90)}),
        table("Reachable endpoints", 10, "Endpoints on which Odoo answers without credentials, by vantage point. Red: reachable although it must be blocked. Empty until a vantage point is configured.",
              {"Reachable": by("vantage, endpoint", "odoo_endpoint_exposed"),
               "Must be blocked": by("vantage, endpoint", "odoo_endpoint_expected_blocked"),
               "Verdict": f"{by('vantage, endpoint', 'odoo_endpoint_exposed')} == 1 and on (vantage, endpoint) {by('vantage, endpoint', 'odoo_endpoint_expected_blocked')} == 1"},
              rename={"vantage": "Vantage point", "endpoint": "Endpoint"}, sort=("Verdict", True), empty="No vantage point is configured.",
              columns={"Vantage point": dict(), "Endpoint": dict(), "Reachable": dict(mappings={"0": ("no", GREEN), "1": ("yes", YELLOW)}, cell="color-text", width=95),
                       "Must be blocked": dict(mappings={"1": ("yes", GREY)}, width=140), "Verdict": dict(mappings={"1": ("exposed", RED)}, steps=BAD_CELL, cell="color-background", width=90)}),
        table("Modules", 7, "Installed modules that affect authentication.",
              {"Value": by("module", "odoo_mfa_module_installed")}, rename={"module": "Module"}, hide=["Value"], columns={"Module": dict()}, empty="None is installed, or the modules are not visible."),
    ], height=9).row("Polls of this target", [
        series("Duration of polls", 8, "How long the last poll took.", [(one("odoo_poll_last_duration_seconds"), "duration")], unit="s", minimum=0),
        series("Failures by reason", 8, "Failed polls by reason.", [(f"max by (reason) (increase(odoo_poll_failures_total{{{sel}}}[$__rate_interval])) > 0", "{{reason}}")], minimum=0, decimals=0, draw="bars", empty="No failure is known."),
        table("Permissions", 8, "Capabilities of the polling account. Figures that need a missing one are not exported.",
              {"Seen": by("capability", "odoo_capability"), "Accepted": by("capability", "odoo_capability_accepted_missing")}, rename={"capability": "Capability"}, sort=("Seen", False),
              columns={"Capability": dict(), "Seen": dict(mappings={"0": ("missing", RED), "1": ("yes", GREEN)}, cell="color-text", width=90), "Accepted": dict(mappings={"1": ("yes", GREEN)}, cell="color-text", width=90)}),
    ], height=11).row("This target's Odoo", [
        table("Server", 11, "The polled server, and the protocol.",
              {"Value": f"max by (url, database, server_version, api) (odoo_target_info{{{sel}}})"},
              rename={"url": "URL", "database": "Database", "server_version": "Odoo", "api": "Protocol"}, order=["URL", "Database", "Odoo", "Protocol"], hide=["Value"],
              columns={"URL": dict(), "Database": dict(width=110), "Odoo": dict(width=100), "Protocol": dict(width=100)}),
        stat("Last success", 4, "Time since the last poll that read everything.", f"time() - {one('odoo_poll_last_success_timestamp_seconds')}", unit="s", decimals=0, steps=((None, GREEN), (750, ORANGE), (3600, RED))),
        stat("Poller's key expires in", 4, "Time until the exporter's own API key expires; empty if it never expires.", f"min(odoo_poller_key_expiry_timestamp_seconds{{{sel}}}) - time()", unit="s", decimals=0,
             steps=((None, RED), (2 * 86400, ORANGE), (14 * 86400, GREEN))),
        stat("Break-glass login", 5, "Time since the last login of the accounts exempted as break_glass. Red within a day, which pages.",
             f"time() - {one('odoo_mfa_break_glass_last_login_timestamp_seconds')}", unit="s", decimals=0, steps=((None, RED), (86400, GREEN)), empty="none known"),
    ], height=4)


def exporter():
    sel = 'job=~"$job", instance=~"$instance"'

    def p(name, extra=""):
        return f"odoo_mfa_exporter_{name}{{{sel}{extra}}}"

    def quantile(q, name, labels=""):
        return f"histogram_quantile({q}, sum by (le{labels}) (rate({p(name + '_bucket')}[$__rate_interval])))"

    return Dashboard(
        EXPORTER, "Odoo MFA / Exporter", "The exporter itself: polls, lag, failures, notifications, process.",
        variables=[
            *instance_variables(),
        ],
        annotations=[
            alert_annotation('target=""'),
            annotation("Exporter started", BLUE, f"changes(process_start_time_seconds{{{sel}}}[5m]) > 0", "{{instance}} started"),
        ],
    ).row("Now", [
        stat("Instances up", 3, "Instances that Prometheus can scrape.", f"sum(up{{{sel}}})", steps=((None, RED), (1, GREEN))),
        stat("Targets", 6, "Targets by state; pending ones have not been polled since the start.", [(f"sum by (state) ({p('targets')})", "{{state}}")], color="value", steps=((None, BLUE),)),
        stat("Configuration", 4, "Current if the last reload succeeded. Otherwise the exporter keeps the old configuration. The web configuration is that of --web.config.file, if there is one.",
             [(f"min({p('config_last_reload_successful')})", "configuration"), (f"min({p('web_config_last_reload_successful')})", "web configuration")],
             mappings={"0": ("reload failed", RED), "1": ("current", GREEN)}, steps=((None, RED), (1, GREEN))),
        stat("Failed polls, last hour", 4, "Polls that failed within an hour.", f'sum(increase(odoo_polls_total{{{sel}, result="failure"}}[1h]))', decimals=0, steps=WARN_STEPS),
        stat("Store errors, last day", 4, "Errors of the store within a day.", f"sum(increase({p('store_errors_total')}[1d]))", decimals=0, steps=WARN_STEPS),
        stat("Queued", 3, "Alerts that wait to be sent to an Alertmanager.", f"sum({p('notification_queue_length')})", steps=((None, GREEN), (50, ORANGE)), empty="–"),
    ], height=4).row("Polls", [
        series("Polls a minute", 8, "Polls a minute by result.", [(f"60 * sum by (result) (rate(odoo_polls_total{{{sel}}}[$__rate_interval]))", "{{result}}")], unit="short", minimum=0, colors={"success": GREEN, "failure": RED}, stack=True),
        series("Failures by reason", 8, "Failed polls by reason.", [(f"sum by (reason) (increase(odoo_poll_failures_total{{{sel}}}[$__rate_interval])) > 0", "{{reason}}")], minimum=0, decimals=0, draw="bars", empty="No failure is known.", stack=True),
        series("Duration of the slowest 10", 8, "Duration of the last poll of the 10 targets that are slowest at the end of the time range.",
               [(f"max by (target) (odoo_poll_last_duration_seconds{{{sel}}}) and on (target) topk(10, max by (target) (odoo_poll_last_duration_seconds{{{sel}}} @ end()))", "{{target}}")], unit="s", minimum=0, link=SERIES_TO_TARGET),
    ], height=8).row("Schedule", [
        series("Lag of polls", 8, "Time from when a poll was due to when it started. It grows when the permits or the processor do not suffice.",
               [(quantile(0.5, "poll_lag_seconds"), "median"), (quantile(0.99, "poll_lag_seconds"), "99th percentile")], unit="s", minimum=0),
        series("In flight and skipped", 8, "Polls that run now, and polls that were due while the previous one still ran or the breaker was open.",
               [(f"sum({p('polls_in_flight')})", "in flight"), (f"sum(increase(odoo_poll_skipped_total{{{sel}}}[$__rate_interval]))", "skipped")], minimum=0, decimals=0),
        series("Requests to Odoo", 8, "Requests that polls cost the targets.", [(f"sum by (outcome) (rate(odoo_poll_requests_total{{{sel}}}[$__rate_interval]))", "{{outcome}}")], unit="reqps", minimum=0, colors={"ok": GREEN, "error": RED}),
    ], height=8).row("Alerts and notifications", [
        series("The daemon's own alerts", 8, "Alerts that the exporter itself holds, by severity and state.", [(f"sum by (severity, state) ({p('alerts')})", "{{severity}} {{state}}")], minimum=0, decimals=0, stack=True, colors=ALERT_COLORS, empty=NO_ALERTING),
        series("Notifications a minute", 8, "Alerts sent, failed and dropped, a minute.",
               [(f"60 * sum(rate({p('notifications_sent_total')}[$__rate_interval]))", "sent"), (f"60 * sum(rate({p('notifications_failed_total')}[$__rate_interval]))", "failed"),
                (f"60 * sum(rate({p('notifications_dropped_total')}[$__rate_interval]))", "dropped")], unit="short", minimum=0, colors={"sent": GREEN, "failed": ORANGE, "dropped": RED}, empty=NO_ALERTING),
        series("Latency of notifications", 8, "99th percentile of the time that an Alertmanager takes to accept a batch.", [(quantile(0.99, "notification_latency_seconds", ", alertmanager"), "{{alertmanager}}")], unit="s", minimum=0, empty=NO_ALERTING),
    ], height=8).row("Process", [
        series("CPU", 6, "Processor time, as a share of one core.", [(f"rate(process_cpu_seconds_total{{{sel}}}[$__rate_interval])", "{{instance}}")], unit="percentunit", minimum=0),
        series("Memory", 6, "Resident memory.", [(f"process_resident_memory_bytes{{{sel}}}", "{{instance}}")], unit="bytes", minimum=0),
        series("Open file descriptors", 6, "Open file descriptors, as a share of the limit.", [(f"process_open_fds{{{sel}}} / process_max_fds{{{sel}}}", "{{instance}}")], unit="percentunit", minimum=0),
        series("Scrapes", 6, "How long a scrape of the exporter takes.", [(f"scrape_duration_seconds{{{sel}}}", "{{instance}}")], unit="s", minimum=0),
    ], height=7).row("Instances", [
        table("Instances", 24, "Versions, shards, sizes and ages of the running instances.",
              {"Up for": f"time() - max by (instance, version, revision) (process_start_time_seconds{{{sel}}} * on (job, instance) group_left (version, revision) {p('build_info')})",
               "Configuration loaded": f"time() - max by (instance, version, revision) ({p('config_last_reload_success_timestamp_seconds')} * on (job, instance) group_left (version, revision) {p('build_info')})",
               "Samples a scrape": f"max by (instance, version, revision) (scrape_samples_scraped{{{sel}}} * on (job, instance) group_left (version, revision) {p('build_info')})",
               "Series dropped": f"max by (instance, version, revision) ({p('series_dropped_total')} * on (job, instance) group_left (version, revision) {p('build_info')})"},
              rename={"instance": "Instance", "version": "Version", "revision": "Revision"},
              columns={"Instance": dict(), "Version": dict(), "Revision": dict(), "Up for": dict(unit="s", decimals=0), "Configuration loaded": dict(unit="s", decimals=0), "Samples a scrape": dict(), "Series dropped": dict(steps=WARN_CELL, cell="color-text")}),
    ], height=5)


INTERNAL = ', user_type="internal"'
AGES = {"lt_30d": "under 30 days", "30d_90d": "30 to 90 days", "90d_365d": "90 to 365 days", "ge_365d": "a year or more"}
NO_ALERTING = "The exporter sends no alerts of its own."
SEVERITY = {"critical": ("critical", RED), "warning": ("warning", ORANGE), "info": ("info", BLUE)}


# What fires has the color of its severity, what is pending a pale one.
ALERT_COLORS = {f"{severity} {state}": color if state == "firing" else pale for severity, color, pale in (("critical", RED, "super-light-red"), ("warning", ORANGE, "super-light-orange"), ("info", BLUE, "super-light-blue"), ("none", GREY, GREY)) for state in ("firing", "pending")}


class Dashboard:
    """A dashboard that is laid out row by row, on Grafana's 24 columns."""

    def __init__(self, uid, title, description, variables, annotations):
        self.uid, self.title, self.description = uid, title, description
        self.variables, self.annotations = variables, annotations
        self.panels, self.y = [], 0

    def row(self, title, panels, height):
        self._add({"type": "row", "title": title, "collapsed": False, "panels": []}, 0, 24, 1)
        self.y += 1
        x = 0
        for width, panel in panels:
            self._add(panel, x, width, height)
            x += width
        assert x == 24, f"{self.title}: row {title} is {x} wide"
        self.y += height
        return self

    def _add(self, panel, x, width, height):
        panel["id"] = len(self.panels) + 1
        panel["gridPos"] = {"h": height, "w": width, "x": x, "y": self.y}
        self.panels.append(panel)

    def json(self):
        datasource = {"type": "datasource", "name": "datasource", "label": "Data source", "query": "prometheus", "current": {}, "hide": 0, "includeAll": False, "multi": False, "options": [], "refresh": 1, "regex": ""}
        exporter_url = {"type": "textbox", "name": "exporter", "label": "Exporter URL", "query": "http://localhost:9893", "current": {"text": "http://localhost:9893", "value": "http://localhost:9893"}, "hide": 0, "options": [], "skipUrlSync": False}
        pages = "/targets/${target}" if self.uid == TARGET else "/"
        links = [
            {"type": "dashboards", "title": "Odoo MFA", "tags": ["odoo-mfa"], "asDropdown": False, "includeVars": True, "keepTime": True, "targetBlank": False, "icon": "external link", "tooltip": "", "url": ""},
            {"type": "link", "title": "Exporter's pages", "url": "${exporter}" + pages, "asDropdown": False, "includeVars": False, "keepTime": False, "targetBlank": True, "icon": "external link", "tooltip": "Affected users, keys and changes. Set the variable Exporter URL.", "tags": []},
            {"type": "link", "title": "Runbooks", "url": REPOSITORY + "docs/runbooks/README.md", "asDropdown": False, "includeVars": False, "keepTime": False, "targetBlank": True, "icon": "doc", "tooltip": "What each alert means and what to do", "tags": []},
        ]
        return {
            "uid": self.uid, "title": self.title, "description": self.description, "tags": ["odoo-mfa"], "schemaVersion": 39, "version": 1,
            "editable": True, "graphTooltip": 1, "refresh": "1m", "timezone": "", "weekStart": "", "fiscalYearStartMonth": 0, "liveNow": False,
            "time": {"from": "now-7d", "to": "now"}, "timepicker": {}, "links": links,
            "templating": {"list": [datasource, *self.variables, exporter_url]},
            "annotations": {"list": self.annotations},
            "panels": self.panels,
        }


def query_variable(name, label, query, multi=False, default=None, all_value=".*"):
    current = {"selected": True, "text": ["All"], "value": ["$__all"]} if multi else {"selected": True, "text": default, "value": default} if default else {}
    return {"type": "query", "name": name, "label": label, "datasource": DATASOURCE, "definition": query, "query": {"query": query, "refId": "variable"},
            "refresh": 2, "sort": 1, "multi": multi, "includeAll": multi, "allValue": all_value if multi else None, "current": current, "hide": 0, "options": [], "regex": ""}


def instance_variables():
    """Which exporters. All means the exporter's jobs, not every job that has up and process_*."""
    return [
        query_variable("job", "Job", "label_values(odoo_mfa_exporter_build_info, job)", multi=True, all_value=None),
        query_variable("instance", "Instance", 'label_values(odoo_mfa_exporter_build_info{job=~"$job"}, instance)', multi=True),
    ]


def annotation(name, color, expr, title):
    return {"name": name, "datasource": DATASOURCE, "enable": True, "hide": False, "iconColor": color, "expr": expr, "step": "60s", "titleFormat": title, "textFormat": "", "tagKeys": "", "useValueForTime": False}


def alert_annotation(selector):
    return annotation("Alerts", ORANGE, f'max by (alertname, severity, target) (ALERTS{{alertname=~"OdooMfa.*", alertname!="OdooMfaWatchdog", alertstate="firing", {selector}}})', "{{alertname}} {{target}}")


def queries(expr, legend, instant, table_format=False):
    pairs = expr if isinstance(expr, list) else [(expr, legend)]
    return [
        {"refId": chr(ord("A") + i), "datasource": DATASOURCE, "expr": e, "legendFormat": name or "__auto", "instant": instant, "range": not instant, "format": "table" if table_format else "time_series", "editorMode": "code"}
        for i, (e, name) in enumerate(pairs)
    ]


def thresholds(steps):
    return {"mode": "absolute", "steps": [{"value": value, "color": color} for value, color in steps]}


def value_mappings(mappings):
    return [{"type": "value", "options": {value: {"text": text, "color": color, "index": i} for i, (value, (text, color)) in enumerate(mappings.items())}}] if mappings else []


def panel(kind, title, description, targets, defaults, options, overrides=(), transformations=()):
    return {"type": kind, "title": title, "description": description, "datasource": DATASOURCE, "targets": targets, "transformations": list(transformations),
            "fieldConfig": {"defaults": defaults, "overrides": list(overrides)}, "options": options}


def stat(title, width, description, expr, legend=None, unit="none", steps=BAD_STEPS, decimals=None, mappings=None, text="auto", color="background", empty="unknown", threshold=None, fields=None):
    # Instant, without a sparkline: the last point of a range may be hours old, and an unknown value must not show an old one.
    defaults = {"unit": unit, "color": {"mode": "thresholds"}, "thresholds": thresholds(steps), "mappings": value_mappings(mappings), "noValue": empty}
    if decimals is not None:
        defaults["decimals"] = decimals
    options = {"colorMode": color, "graphMode": "none", "justifyMode": "auto", "orientation": "auto", "reduceOptions": {"calcs": ["last"], "fields": "", "values": False}, "textMode": text, "wideLayout": True}
    targets = queries(expr, legend, True)
    # The last query is no figure of its own: from its value on the others are green.
    by_query = [{"id": "configFromData", "options": {"configRefId": targets[-1]["refId"], "mappings": [{"fieldName": threshold, "handlerKey": "threshold1", "handlerArguments": {"threshold": {"color": GREEN}}}]}}] if threshold else []
    overrides = [{"matcher": {"id": "byName", "options": name}, "properties": [{"id": "color", "value": {"mode": "fixed", "fixedColor": fixed}}]} for name, fixed in (fields or {}).items()]
    return width, panel("stat", title, description, targets, defaults, options, overrides, by_query)


def bars(title, width, description, expr, legend=None, unit="none", steps=((None, BLUE),), minimum=0):
    defaults = {"unit": unit, **({} if minimum is None else {"min": minimum}), "color": {"mode": "thresholds"}, "thresholds": thresholds(steps), "mappings": [], "noValue": "unknown"}
    options = {"displayMode": "basic", "orientation": "horizontal", "showUnfilled": True, "valueMode": "color", "namePlacement": "auto", "sizing": "auto", "minVizHeight": 16, "minVizWidth": 8, "maxVizHeight": 300,
               "reduceOptions": {"calcs": ["last"], "fields": "", "values": False}, "legend": {"showLegend": False, "displayMode": "list", "placement": "bottom", "calcs": []}}
    return width, panel("bargauge", title, description, queries(expr, legend, True), defaults, options)


def series(title, width, description, pairs, unit="none", minimum=None, maximum=None, decimals=None, stack=False, steps=((None, GREEN),), line_thresholds=False, colors=None, dashed=None, link=None, draw="line", empty="unknown"):
    custom = {"drawStyle": draw, "lineWidth": 0 if draw == "bars" else 2, "lineInterpolation": "linear", "fillOpacity": 60 if draw == "bars" else 25 if stack else 0, "gradientMode": "none", "showPoints": "never", "pointSize": 5,
              "spanNulls": False, "insertNulls": False, "axisPlacement": "auto", "axisLabel": "", "axisColorMode": "text", "axisBorderShow": False, "axisCenteredZero": False, "barAlignment": 0, "barWidthFactor": 0.6, "scaleDistribution": {"type": "linear"},
              "stacking": {"mode": "normal" if stack else "none", "group": "A"}, "thresholdsStyle": {"mode": "dashed" if line_thresholds else "off"}, "hideFrom": {"legend": False, "tooltip": False, "viz": False}}
    defaults = {"unit": unit, "color": {"mode": "palette-classic"}, "thresholds": thresholds(steps), "mappings": [], "custom": custom}
    for key, value in (("min", minimum), ("max", maximum), ("decimals", decimals), ("noValue", empty)):
        if value is not None:
            defaults[key] = value
    if link:
        defaults["links"] = [{"title": link[0], "url": link[1], "targetBlank": False}]
    overrides = [{"matcher": {"id": "byName", "options": name}, "properties": [{"id": "color", "value": {"mode": "fixed", "fixedColor": color}}]} for name, color in (colors or {}).items()]
    if dashed:
        overrides.append({"matcher": {"id": "byRegexp", "options": dashed}, "properties": [{"id": "custom.lineStyle", "value": {"fill": "dash", "dash": [8, 6]}}, {"id": "custom.lineWidth", "value": 1}, {"id": "color", "value": {"mode": "fixed", "fixedColor": GREY}}]})
    options = {"legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []}, "tooltip": {"mode": "multi", "sort": "desc"}}
    return width, panel("timeseries", title, description, queries(pairs, None, False), defaults, options, overrides)


def table(title, width, description, values, rename, columns, sort=None, hide=(), order=None, empty="unknown"):
    """Instant queries, one for each value column, merged on their labels."""
    names = list(values)
    targets = queries([(values[n], "") for n in names], None, True, table_format=True)
    renames = {**rename, **({"Value": names[0]} if len(names) == 1 else {f"Value #{t['refId']}": n for t, n in zip(targets, names)})}
    shown = [n for n in renames.values() if n not in hide]
    shown = [*order, *(n for n in shown if n not in order)] if order else shown
    inverse = {new: old for old, new in renames.items()}
    organize = {"excludeByName": {"Time": True, **{inverse[n]: True for n in hide}}, "indexByName": {inverse[n]: i for i, n in enumerate(shown)}, "renameByName": {o: n for o, n in renames.items() if o != n}, "includeByName": {}}
    overrides = []
    for name, column in columns.items():
        properties = []
        if "cell" in column:
            mode = {"gauge": {"type": "gauge", "mode": "basic", "valueDisplayMode": "text"}, "color-text": {"type": "color-text"}, "color-background": {"type": "color-background", "mode": "basic"}}[column["cell"]]
            properties.append({"id": "custom.cellOptions", "value": mode})
            properties.append({"id": "color", "value": {"mode": "thresholds"}})
        if "width" in column:
            properties.append({"id": "custom.width", "value": column["width"]})
        if "steps" in column:
            properties.append({"id": "thresholds", "value": thresholds(column["steps"])})
        if column.get("cell") == "gauge":
            # Without a value a gauge would draw the edge of a 0.
            unknown = {"match": "null+nan", "result": {"text": "–", "color": "transparent", "index": 0}}
            properties.append({"id": "mappings", "value": [{"type": "special", "options": unknown}]})
        if "mappings" in column:
            properties.append({"id": "mappings", "value": value_mappings(column["mappings"])})
        if "link" in column:
            properties.append({"id": "links", "value": [{"title": column["link"][0], "url": column["link"][1], "targetBlank": column["link"][1].startswith("https:")}]})
        properties += [{"id": key, "value": column[key]} for key in ("unit", "decimals", "min", "max") if key in column]
        # A label that looks like a number, a version say, must not be shown as one; the panel's noValue is its message, not a cell's.
        properties.append({"id": "unit", "value": "string"} if name in rename.values() else {"id": "noValue", "value": "–"})
        overrides.append({"matcher": {"id": "byName", "options": name}, "properties": properties})
    defaults = {"unit": "none", "color": {"mode": "thresholds"}, "thresholds": thresholds(((None, GREY),)), "mappings": [], "noValue": empty, "custom": {"align": "auto", "cellOptions": {"type": "auto"}, "filterable": False, "inspect": False}}
    options = {"showHeader": True, "cellHeight": "sm", "footer": {"show": False, "reducer": ["sum"], "countRows": False, "fields": ""}, "sortBy": [{"displayName": sort[0], "desc": sort[1]}] if sort else []}
    return width, panel("table", title, description, targets, defaults, options, overrides, [{"id": "merge", "options": {}}, {"id": "organize", "options": organize}])


def main():
    differ = []
    for dashboard in (fleet(), target(), exporter()):
        file = HERE / f"{dashboard.uid}.json"
        text = json.dumps(dashboard.json(), indent=1, ensure_ascii=False) + "\n"
        if "--check" in sys.argv[1:]:
            if not file.exists() or file.read_text() != text:
                differ.append(file.name)
        else:
            file.write_text(text)
    if differ:
        print(f"{', '.join(differ)}: not what generate.py makes; run it", file=sys.stderr)
    return 1 if differ else 0


if __name__ == "__main__":
    sys.exit(main())
