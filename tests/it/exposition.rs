//! What scrapes say.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use insta::assert_snapshot;
use odoo_mfa_exporter::domain::posture::Posture;
use odoo_mfa_exporter::domain::snapshot::Identity;
use odoo_mfa_exporter::domain::{PerType, TargetSnapshot, UserType};
use odoo_mfa_exporter::exposition::catalogue::{self, Kind};
use odoo_mfa_exporter::exposition::state::BuildInfo;
use odoo_mfa_exporter::exposition::{Body, Coding, Format};
use proptest::prelude::*;

use crate::harness::exporter::Shown;
use crate::harness::prometheus::check_metrics;
use crate::harness::snapshots::{down, identity, partly_blind, pending, posture, up};
use crate::harness::text::{Sample, Text};

/// The part of a text that is about targets.
fn of_targets(text: &str) -> String {
    let lines = text
        .lines()
        .take_while(|line| !line.contains("odoo_mfa_exporter_"));
    lines.map(|line| format!("{line}\n")).collect()
}

#[tokio::test]
async fn a_target_that_is_up_in_openmetrics() {
    let shown = Shown::new([up("erp")]);
    assert_snapshot!(of_targets(&shown.text(Format::OpenMetrics).await), @r##"
    # HELP odoo_up Whether the last poll read everything it must.
    # TYPE odoo_up gauge
    odoo_up{target="erp",team="finance"} 1
    # HELP odoo_poll_last_success_timestamp_seconds When the last successful poll ended.
    # TYPE odoo_poll_last_success_timestamp_seconds gauge
    # UNIT odoo_poll_last_success_timestamp_seconds seconds
    odoo_poll_last_success_timestamp_seconds{target="erp",team="finance"} 1795496401.25
    # HELP odoo_poll_last_attempt_timestamp_seconds When the last poll began.
    # TYPE odoo_poll_last_attempt_timestamp_seconds gauge
    # UNIT odoo_poll_last_attempt_timestamp_seconds seconds
    odoo_poll_last_attempt_timestamp_seconds{target="erp",team="finance"} 1795496400.0
    # HELP odoo_poll_last_duration_seconds How long the last poll took.
    # TYPE odoo_poll_last_duration_seconds gauge
    # UNIT odoo_poll_last_duration_seconds seconds
    odoo_poll_last_duration_seconds{target="erp",team="finance"} 1.25
    # HELP odoo_poll_interval_seconds Time between two polls, as configured.
    # TYPE odoo_poll_interval_seconds gauge
    # UNIT odoo_poll_interval_seconds seconds
    odoo_poll_interval_seconds{target="erp",team="finance"} 300.0
    # HELP odoo_polls Polls that ended, by result.
    # TYPE odoo_polls counter
    odoo_polls_total{target="erp",team="finance",result="success"} 2
    odoo_polls_total{target="erp",team="finance",result="failure"} 1
    # HELP odoo_poll_failures Polls that failed, by reason.
    # TYPE odoo_poll_failures counter
    odoo_poll_failures_total{target="erp",team="finance",reason="connect"} 0
    odoo_poll_failures_total{target="erp",team="finance",reason="tls"} 0
    odoo_poll_failures_total{target="erp",team="finance",reason="timeout"} 1
    odoo_poll_failures_total{target="erp",team="finance",reason="http_status"} 0
    odoo_poll_failures_total{target="erp",team="finance",reason="auth"} 0
    odoo_poll_failures_total{target="erp",team="finance",reason="access"} 0
    odoo_poll_failures_total{target="erp",team="finance",reason="database"} 0
    odoo_poll_failures_total{target="erp",team="finance",reason="maintenance"} 0
    odoo_poll_failures_total{target="erp",team="finance",reason="protocol"} 0
    odoo_poll_failures_total{target="erp",team="finance",reason="too_large"} 0
    odoo_poll_failures_total{target="erp",team="finance",reason="internal"} 0
    # HELP odoo_poll_skipped Polls that were due and did not start.
    # TYPE odoo_poll_skipped counter
    odoo_poll_skipped_total{target="erp",team="finance"} 4
    # HELP odoo_poll_requests Requests that polls cost the target, by outcome.
    # TYPE odoo_poll_requests counter
    odoo_poll_requests_total{target="erp",team="finance",outcome="ok"} 30
    odoo_poll_requests_total{target="erp",team="finance",outcome="error"} 5
    # HELP odoo_target_info Which server answers; always 1.
    # TYPE odoo_target_info gauge
    odoo_target_info{target="erp",team="finance",url="https://erp.example.com",database="prod",server_version="19.0",api="json2"} 1
    # HELP odoo_poller_key_expiry_timestamp_seconds When the first of the polling account's own working keys that open RPC expires.
    # TYPE odoo_poller_key_expiry_timestamp_seconds gauge
    # UNIT odoo_poller_key_expiry_timestamp_seconds seconds
    odoo_poller_key_expiry_timestamp_seconds{target="erp",team="finance"} 1798761600.0
    # HELP odoo_capability Whether this account and this Odoo version give this completely.
    # TYPE odoo_capability gauge
    odoo_capability{target="erp",team="finance",capability="users"} 1
    odoo_capability{target="erp",team="finance",capability="totp"} 1
    odoo_capability{target="erp",team="finance",capability="passkeys"} 1
    odoo_capability{target="erp",team="finance",capability="api_keys"} 1
    odoo_capability{target="erp",team="finance",capability="trusted_devices"} 1
    odoo_capability{target="erp",team="finance",capability="policy"} 1
    odoo_capability{target="erp",team="finance",capability="modules"} 1
    odoo_capability{target="erp",team="finance",capability="groups"} 1
    odoo_capability{target="erp",team="finance",capability="logins"} 1
    # HELP odoo_capability_accepted_missing 1 where the configuration accepts that a capability is missing.
    # TYPE odoo_capability_accepted_missing gauge
    odoo_capability_accepted_missing{target="erp",team="finance",capability="modules"} 1
    # HELP odoo_users All people.
    # TYPE odoo_users gauge
    odoo_users{target="erp",team="finance",user_type="internal",state="active"} 101
    odoo_users{target="erp",team="finance",user_type="internal",state="archived"} 11
    odoo_users{target="erp",team="finance",user_type="portal",state="active"} 201
    odoo_users{target="erp",team="finance",user_type="portal",state="archived"} 21
    odoo_users{target="erp",team="finance",user_type="none",state="active"} 3
    odoo_users{target="erp",team="finance",user_type="none",state="archived"} 0
    # HELP odoo_mfa_accepted_factor Whether this counts as a second factor, as configured.
    # TYPE odoo_mfa_accepted_factor gauge
    odoo_mfa_accepted_factor{target="erp",team="finance",factor="totp"} 1
    odoo_mfa_accepted_factor{target="erp",team="finance",factor="passkey"} 0
    odoo_mfa_accepted_factor{target="erp",team="finance",factor="email_policy"} 0
    odoo_mfa_accepted_factor{target="erp",team="finance",factor="sso"} 0
    # HELP odoo_mfa_eligible_users Active people who are not exempt: the denominator of the coverage.
    # TYPE odoo_mfa_eligible_users gauge
    odoo_mfa_eligible_users{target="erp",team="finance",user_type="internal"} 95
    odoo_mfa_eligible_users{target="erp",team="finance",user_type="portal"} 197
    odoo_mfa_eligible_users{target="erp",team="finance",user_type="none"} 3
    # HELP odoo_mfa_protected_users Eligible people with at least one accepted factor.
    # TYPE odoo_mfa_protected_users gauge
    odoo_mfa_protected_users{target="erp",team="finance",user_type="internal"} 76
    odoo_mfa_protected_users{target="erp",team="finance",user_type="portal"} 50
    odoo_mfa_protected_users{target="erp",team="finance",user_type="none"} 0
    # HELP odoo_mfa_coverage_ratio Protected people divided by eligible people.
    # TYPE odoo_mfa_coverage_ratio gauge
    # UNIT odoo_mfa_coverage_ratio ratio
    odoo_mfa_coverage_ratio{target="erp",team="finance",user_type="internal"} 0.8
    odoo_mfa_coverage_ratio{target="erp",team="finance",user_type="portal"} 0.25380710659898478
    odoo_mfa_coverage_ratio{target="erp",team="finance",user_type="none"} 0.0
    # HELP odoo_mfa_coverage_target_ratio The wanted coverage, as configured.
    # TYPE odoo_mfa_coverage_target_ratio gauge
    # UNIT odoo_mfa_coverage_target_ratio ratio
    odoo_mfa_coverage_target_ratio{target="erp",team="finance",user_type="internal"} 0.9
    odoo_mfa_coverage_target_ratio{target="erp",team="finance",user_type="none"} 0.5
    # HELP odoo_mfa_enrolled_users Active people, exempt or not, who enrolled this method.
    # TYPE odoo_mfa_enrolled_users gauge
    odoo_mfa_enrolled_users{target="erp",team="finance",user_type="internal",method="totp"} 77
    odoo_mfa_enrolled_users{target="erp",team="finance",user_type="internal",method="passkey"} 12
    odoo_mfa_enrolled_users{target="erp",team="finance",user_type="portal",method="totp"} 51
    odoo_mfa_enrolled_users{target="erp",team="finance",user_type="portal",method="passkey"} 13
    odoo_mfa_enrolled_users{target="erp",team="finance",user_type="none",method="totp"} 0
    odoo_mfa_enrolled_users{target="erp",team="finance",user_type="none",method="passkey"} 0
    # HELP odoo_mfa_single_factor_users Eligible people with exactly one enrolled method.
    # TYPE odoo_mfa_single_factor_users gauge
    odoo_mfa_single_factor_users{target="erp",team="finance",user_type="internal"} 70
    odoo_mfa_single_factor_users{target="erp",team="finance",user_type="portal"} 48
    odoo_mfa_single_factor_users{target="erp",team="finance",user_type="none"} 0
    # HELP odoo_mfa_grace_users Unprotected people whose account is younger than the grace period.
    # TYPE odoo_mfa_grace_users gauge
    odoo_mfa_grace_users{target="erp",team="finance",user_type="internal"} 8
    odoo_mfa_grace_users{target="erp",team="finance",user_type="portal"} 9
    odoo_mfa_grace_users{target="erp",team="finance",user_type="none"} 1
    # HELP odoo_mfa_well_known_accounts_active Accounts that Odoo or a website uses for no user, and that can act as one.
    # TYPE odoo_mfa_well_known_accounts_active gauge
    odoo_mfa_well_known_accounts_active{target="erp",team="finance"} 0
    # HELP odoo_mfa_well_known_accounts_privileged Accounts in a role that Odoo or a website uses for no user, and that can act as one.
    # TYPE odoo_mfa_well_known_accounts_privileged gauge
    odoo_mfa_well_known_accounts_privileged{target="erp",team="finance"} 0
    # HELP odoo_mfa_exempt_users Active people whom the configuration exempts.
    # TYPE odoo_mfa_exempt_users gauge
    odoo_mfa_exempt_users{target="erp",team="finance",user_type="internal",reason="kiosk"} 1
    odoo_mfa_exempt_users{target="erp",team="finance",user_type="internal",reason="service"} 2
    odoo_mfa_exempt_users{target="erp",team="finance",user_type="internal",reason="break_glass"} 0
    odoo_mfa_exempt_users{target="erp",team="finance",user_type="internal",reason="other"} 3
    odoo_mfa_exempt_users{target="erp",team="finance",user_type="portal",reason="kiosk"} 0
    odoo_mfa_exempt_users{target="erp",team="finance",user_type="portal",reason="service"} 0
    odoo_mfa_exempt_users{target="erp",team="finance",user_type="portal",reason="break_glass"} 0
    odoo_mfa_exempt_users{target="erp",team="finance",user_type="portal",reason="other"} 4
    odoo_mfa_exempt_users{target="erp",team="finance",user_type="none",reason="kiosk"} 0
    odoo_mfa_exempt_users{target="erp",team="finance",user_type="none",reason="service"} 0
    odoo_mfa_exempt_users{target="erp",team="finance",user_type="none",reason="break_glass"} 0
    odoo_mfa_exempt_users{target="erp",team="finance",user_type="none",reason="other"} 0
    # HELP odoo_mfa_break_glass_last_login_timestamp_seconds The last login of the accounts exempted as `break_glass`.
    # TYPE odoo_mfa_break_glass_last_login_timestamp_seconds gauge
    # UNIT odoo_mfa_break_glass_last_login_timestamp_seconds seconds
    odoo_mfa_break_glass_last_login_timestamp_seconds{target="erp",team="finance"} 1795132800.0
    # HELP odoo_mfa_exemptions Exemptions of the configuration, by what became of them.
    # TYPE odoo_mfa_exemptions gauge
    odoo_mfa_exemptions{target="erp",team="finance",state="valid"} 5
    odoo_mfa_exemptions{target="erp",team="finance",state="expired"} 6
    odoo_mfa_exemptions{target="erp",team="finance",state="unmatched"} 7
    # HELP odoo_mfa_sso_users Active people, exempt or not, linked to an identity provider.
    # TYPE odoo_mfa_sso_users gauge
    odoo_mfa_sso_users{target="erp",team="finance",user_type="internal",provider="oauth"} 15
    odoo_mfa_sso_users{target="erp",team="finance",user_type="internal",provider="saml"} 17
    odoo_mfa_sso_users{target="erp",team="finance",user_type="portal",provider="oauth"} 16
    odoo_mfa_sso_users{target="erp",team="finance",user_type="portal",provider="saml"} 18
    odoo_mfa_sso_users{target="erp",team="finance",user_type="none",provider="oauth"} 0
    odoo_mfa_sso_users{target="erp",team="finance",user_type="none",provider="saml"} 0
    # HELP odoo_mfa_dormant_unprotected_users Unprotected people without a login for the dormancy period.
    # TYPE odoo_mfa_dormant_unprotected_users gauge
    odoo_mfa_dormant_unprotected_users{target="erp",team="finance",user_type="internal"} 10
    odoo_mfa_dormant_unprotected_users{target="erp",team="finance",user_type="portal"} 14
    odoo_mfa_dormant_unprotected_users{target="erp",team="finance",user_type="none"} 2
    # HELP odoo_mfa_trusted_devices Browsers that skip the second factor.
    # TYPE odoo_mfa_trusted_devices gauge
    odoo_mfa_trusted_devices{target="erp",team="finance"} 19
    # HELP odoo_mfa_trusted_device_users People who own a browser that skips the second factor.
    # TYPE odoo_mfa_trusted_device_users gauge
    odoo_mfa_trusted_device_users{target="erp",team="finance"} 20
    # HELP odoo_privileged_users Distinct eligible people in at least one role.
    # TYPE odoo_privileged_users gauge
    odoo_privileged_users{target="erp",team="finance"} 22
    # HELP odoo_privileged_users_without_mfa Distinct eligible people in at least one role who are unprotected.
    # TYPE odoo_privileged_users_without_mfa gauge
    odoo_privileged_users_without_mfa{target="erp",team="finance"} 23
    # HELP odoo_privileged_exempt_users Distinct exempt active users in at least one role.
    # TYPE odoo_privileged_exempt_users gauge
    odoo_privileged_exempt_users{target="erp",team="finance",reason="kiosk"} 51
    odoo_privileged_exempt_users{target="erp",team="finance",reason="service"} 52
    odoo_privileged_exempt_users{target="erp",team="finance",reason="break_glass"} 53
    odoo_privileged_exempt_users{target="erp",team="finance",reason="other"} 0
    # HELP odoo_role_users Distinct eligible people in the role.
    # TYPE odoo_role_users gauge
    odoo_role_users{target="erp",team="finance",role="settings"} 24
    odoo_role_users{target="erp",team="finance",role="hr"} 0
    # HELP odoo_role_users_without_mfa Eligible people in the role who are unprotected.
    # TYPE odoo_role_users_without_mfa gauge
    odoo_role_users_without_mfa{target="erp",team="finance",role="settings"} 25
    odoo_role_users_without_mfa{target="erp",team="finance",role="hr"} 0
    # HELP odoo_role_users_without_mfa_past_grace Eligible people in the role who are unprotected and past the grace period.
    # TYPE odoo_role_users_without_mfa_past_grace gauge
    odoo_role_users_without_mfa_past_grace{target="erp",team="finance",role="settings"} 26
    odoo_role_users_without_mfa_past_grace{target="erp",team="finance",role="hr"} 0
    # HELP odoo_role_users_with_passkey Eligible users in the role who have a passkey.
    # TYPE odoo_role_users_with_passkey gauge
    odoo_role_users_with_passkey{target="erp",team="finance",role="settings"} 54
    odoo_role_users_with_passkey{target="erp",team="finance",role="hr"} 0
    # HELP odoo_role_exempt_users Active people in the role who are exempt.
    # TYPE odoo_role_exempt_users gauge
    odoo_role_exempt_users{target="erp",team="finance",role="settings"} 27
    odoo_role_exempt_users{target="erp",team="finance",role="hr"} 0
    # HELP odoo_admins_with_mfa Protected people in the role settings.
    # TYPE odoo_admins_with_mfa gauge
    odoo_admins_with_mfa{target="erp",team="finance"} 28
    # HELP odoo_api_keys Working keys, by what they open.
    # TYPE odoo_api_keys gauge
    odoo_api_keys{target="erp",team="finance",scope="unrestricted"} 29
    odoo_api_keys{target="erp",team="finance",scope="rpc"} 30
    odoo_api_keys{target="erp",team="finance",scope="other"} 31
    # HELP odoo_api_keys_by_age Working keys, by age.
    # TYPE odoo_api_keys_by_age gauge
    odoo_api_keys_by_age{target="erp",team="finance",age="lt_30d"} 32
    odoo_api_keys_by_age{target="erp",team="finance",age="30d_90d"} 33
    odoo_api_keys_by_age{target="erp",team="finance",age="90d_365d"} 34
    odoo_api_keys_by_age{target="erp",team="finance",age="ge_365d"} 35
    # HELP odoo_api_keys_without_expiry Working keys that never expire.
    # TYPE odoo_api_keys_without_expiry gauge
    odoo_api_keys_without_expiry{target="erp",team="finance"} 36
    # HELP odoo_api_keys_expiring Working keys that expire soon, by when.
    # TYPE odoo_api_keys_expiring gauge
    odoo_api_keys_expiring{target="erp",team="finance",due="lt_7d"} 37
    odoo_api_keys_expiring{target="erp",team="finance",due="7d_30d"} 38
    # HELP odoo_api_keys_expired Keys past their date.
    # TYPE odoo_api_keys_expired gauge
    odoo_api_keys_expired{target="erp",team="finance"} 39
    # HELP odoo_api_key_owners Distinct people holding a working key.
    # TYPE odoo_api_key_owners gauge
    odoo_api_key_owners{target="erp",team="finance",user_type="internal"} 40
    odoo_api_key_owners{target="erp",team="finance",user_type="portal"} 41
    odoo_api_key_owners{target="erp",team="finance",user_type="none"} 0
    # HELP odoo_api_keys_of_privileged_users Working keys of active people in a role, exempt or not.
    # TYPE odoo_api_keys_of_privileged_users gauge
    odoo_api_keys_of_privileged_users{target="erp",team="finance"} 42
    # HELP odoo_api_keys_of_privileged_users_without_expiry Working keys without a date of active people in a role, exempt or not.
    # TYPE odoo_api_keys_of_privileged_users_without_expiry gauge
    odoo_api_keys_of_privileged_users_without_expiry{target="erp",team="finance"} 24
    # HELP odoo_api_keys_of_archived_users Unexpired keys of archived people.
    # TYPE odoo_api_keys_of_archived_users gauge
    odoo_api_keys_of_archived_users{target="erp",team="finance"} 43
    # HELP odoo_api_keys_of_unprotected_users Working keys of people without an accepted factor, exempt or not.
    # TYPE odoo_api_keys_of_unprotected_users gauge
    odoo_api_keys_of_unprotected_users{target="erp",team="finance"} 44
    # HELP odoo_api_key_oldest_creation_timestamp_seconds When the oldest working key was made.
    # TYPE odoo_api_key_oldest_creation_timestamp_seconds gauge
    # UNIT odoo_api_key_oldest_creation_timestamp_seconds seconds
    odoo_api_key_oldest_creation_timestamp_seconds{target="erp",team="finance"} 1704164645.0
    # HELP odoo_api_key_next_expiry_timestamp_seconds When the next working key expires.
    # TYPE odoo_api_key_next_expiry_timestamp_seconds gauge
    # UNIT odoo_api_key_next_expiry_timestamp_seconds seconds
    odoo_api_key_next_expiry_timestamp_seconds{target="erp",team="finance"} 1796083200.0
    # HELP odoo_api_keys_unused Working keys that were not used for some time.
    # TYPE odoo_api_keys_unused gauge
    odoo_api_keys_unused{target="erp",team="finance",unused_for="30d_90d"} 49
    odoo_api_keys_unused{target="erp",team="finance",unused_for="ge_90d"} 50
    # HELP odoo_mfa_policy 1 for what makes a second factor mandatory, the widest if several.
    # TYPE odoo_mfa_policy gauge
    odoo_mfa_policy{target="erp",team="finance",policy="none"} 0
    odoo_mfa_policy{target="erp",team="finance",policy="employee_required"} 1
    odoo_mfa_policy{target="erp",team="finance",policy="all_required"} 0
    odoo_mfa_policy{target="erp",team="finance",policy="module"} 0
    # HELP odoo_mfa_enforced Whether what is in force makes a second factor mandatory for this type.
    # TYPE odoo_mfa_enforced gauge
    odoo_mfa_enforced{target="erp",team="finance",user_type="internal"} 1
    odoo_mfa_enforced{target="erp",team="finance",user_type="portal"} 0
    odoo_mfa_enforced{target="erp",team="finance",user_type="none"} 0
    # HELP odoo_mfa_module_installed 1 for each installed module that changes the picture.
    # TYPE odoo_mfa_module_installed gauge
    odoo_mfa_module_installed{target="erp",team="finance",module="auth_totp"} 1
    odoo_mfa_module_installed{target="erp",team="finance",module="auth_admin_passkey"} 1
    # HELP odoo_mfa_bypass_present Whether this lets people around the second factor.
    # TYPE odoo_mfa_bypass_present gauge
    odoo_mfa_bypass_present{target="erp",team="finance",mechanism="trusted_network"} 0
    odoo_mfa_bypass_present{target="erp",team="finance",mechanism="master_password"} 1
    odoo_mfa_bypass_present{target="erp",team="finance",mechanism="impersonation"} 0
    # HELP odoo_mfa_bypass_accepted 1 where the configuration accepts a way around the second factor.
    # TYPE odoo_mfa_bypass_accepted gauge
    odoo_mfa_bypass_accepted{target="erp",team="finance",mechanism="impersonation"} 1
    # HELP odoo_password_rpc_users Active people, exempt or not, whose bare password may open XML-RPC or JSON-RPC: an upper bound.
    # TYPE odoo_password_rpc_users gauge
    odoo_password_rpc_users{target="erp",team="finance",user_type="internal"} 45
    odoo_password_rpc_users{target="erp",team="finance",user_type="portal"} 46
    odoo_password_rpc_users{target="erp",team="finance",user_type="none"} 3
    # HELP odoo_password_rpc_used_users Active people, exempt or not, whose bare password opened XML-RPC or JSON-RPC within the last 30 days.
    # TYPE odoo_password_rpc_used_users gauge
    odoo_password_rpc_used_users{target="erp",team="finance",user_type="internal"} 47
    odoo_password_rpc_used_users{target="erp",team="finance",user_type="portal"} 48
    odoo_password_rpc_used_users{target="erp",team="finance",user_type="none"} 0
    "##);
}

#[tokio::test]
async fn a_target_before_its_first_poll_in_the_classic_format() {
    let shown = Shown::new([pending("new")]);
    assert_snapshot!(of_targets(&shown.text(Format::Classic).await), @r##"
    # HELP odoo_poll_interval_seconds Time between two polls, as configured.
    # TYPE odoo_poll_interval_seconds gauge
    odoo_poll_interval_seconds{target="new",team="finance"} 300.0
    # HELP odoo_polls_total Polls that ended, by result.
    # TYPE odoo_polls_total counter
    odoo_polls_total{target="new",team="finance",result="success"} 0
    odoo_polls_total{target="new",team="finance",result="failure"} 0
    # HELP odoo_poll_failures_total Polls that failed, by reason.
    # TYPE odoo_poll_failures_total counter
    odoo_poll_failures_total{target="new",team="finance",reason="connect"} 0
    odoo_poll_failures_total{target="new",team="finance",reason="tls"} 0
    odoo_poll_failures_total{target="new",team="finance",reason="timeout"} 0
    odoo_poll_failures_total{target="new",team="finance",reason="http_status"} 0
    odoo_poll_failures_total{target="new",team="finance",reason="auth"} 0
    odoo_poll_failures_total{target="new",team="finance",reason="access"} 0
    odoo_poll_failures_total{target="new",team="finance",reason="database"} 0
    odoo_poll_failures_total{target="new",team="finance",reason="maintenance"} 0
    odoo_poll_failures_total{target="new",team="finance",reason="protocol"} 0
    odoo_poll_failures_total{target="new",team="finance",reason="too_large"} 0
    odoo_poll_failures_total{target="new",team="finance",reason="internal"} 0
    # HELP odoo_poll_skipped_total Polls that were due and did not start.
    # TYPE odoo_poll_skipped_total counter
    odoo_poll_skipped_total{target="new",team="finance"} 0
    # HELP odoo_poll_requests_total Requests that polls cost the target, by outcome.
    # TYPE odoo_poll_requests_total counter
    odoo_poll_requests_total{target="new",team="finance",outcome="ok"} 0
    odoo_poll_requests_total{target="new",team="finance",outcome="error"} 0
    # HELP odoo_capability_accepted_missing 1 where the configuration accepts that a capability is missing.
    # TYPE odoo_capability_accepted_missing gauge
    odoo_capability_accepted_missing{target="new",team="finance",capability="modules"} 1
    # HELP odoo_mfa_accepted_factor Whether this counts as a second factor, as configured.
    # TYPE odoo_mfa_accepted_factor gauge
    odoo_mfa_accepted_factor{target="new",team="finance",factor="totp"} 1
    odoo_mfa_accepted_factor{target="new",team="finance",factor="passkey"} 0
    odoo_mfa_accepted_factor{target="new",team="finance",factor="email_policy"} 0
    odoo_mfa_accepted_factor{target="new",team="finance",factor="sso"} 0
    # HELP odoo_mfa_coverage_target_ratio The wanted coverage, as configured.
    # TYPE odoo_mfa_coverage_target_ratio gauge
    odoo_mfa_coverage_target_ratio{target="new",team="finance",user_type="internal"} 0.9
    # HELP odoo_mfa_bypass_accepted 1 where the configuration accepts a way around the second factor.
    # TYPE odoo_mfa_bypass_accepted gauge
    odoo_mfa_bypass_accepted{target="new",team="finance",mechanism="impersonation"} 1
    "##);
}

/// How the samples of one target differ from those of another: families and series that are absent, then samples that are new.
async fn difference(from: TargetSnapshot, to: TargetSnapshot) -> String {
    let [from, to] = [from, to].map(|it| async {
        let text = Shown::new([it]).text(Format::OpenMetrics).await;
        let lines = of_targets(&text);
        let samples = lines.lines().filter(|line| !line.starts_with('#'));
        samples.map(str::to_owned).collect::<Vec<_>>()
    });
    let (from, to) = (from.await, to.await);
    let family = |line: &str| line.split('{').next().unwrap_or_default().to_owned();
    let series = |line: &str| line.rsplit_once(' ').unwrap_or_default().0.to_owned();
    let families: BTreeSet<_> = to.iter().map(|line| family(line)).collect();
    let present: BTreeSet<_> = to.iter().map(|line| series(line)).collect();
    let absent = from.iter().filter(|line| !present.contains(&series(line)));
    let mut lines: Vec<_> = absent
        .map(|line| match family(line) {
            it if families.contains(&it) => format!("- {}\n", series(line)),
            it => format!("- {it}\n"),
        })
        .collect();
    lines.dedup();
    let new = to.iter().filter(|line| !from.contains(line));
    lines.extend(new.map(|line| format!("+ {line}\n")));
    lines.concat()
}

#[tokio::test]
async fn what_is_not_completely_known_is_absent_and_says_so() {
    assert_snapshot!(difference(up("erp"), partly_blind("erp")).await, @r##"
    - odoo_mfa_enrolled_users{target="erp",team="finance",user_type="internal",method="passkey"}
    - odoo_mfa_enrolled_users{target="erp",team="finance",user_type="portal",method="passkey"}
    - odoo_mfa_enrolled_users{target="erp",team="finance",user_type="none",method="passkey"}
    - odoo_mfa_single_factor_users
    - odoo_mfa_break_glass_last_login_timestamp_seconds
    - odoo_mfa_dormant_unprotected_users
    - odoo_mfa_trusted_devices
    - odoo_mfa_trusted_device_users
    - odoo_privileged_users
    - odoo_privileged_users_without_mfa
    - odoo_privileged_exempt_users
    - odoo_role_users
    - odoo_role_users_without_mfa
    - odoo_role_users_without_mfa_past_grace
    - odoo_role_users_with_passkey
    - odoo_role_exempt_users
    - odoo_admins_with_mfa
    - odoo_api_keys
    - odoo_api_keys_by_age
    - odoo_api_keys_without_expiry
    - odoo_api_keys_expiring
    - odoo_api_keys_expired
    - odoo_api_key_owners
    - odoo_api_keys_of_privileged_users
    - odoo_api_keys_of_privileged_users_without_expiry
    - odoo_api_keys_of_archived_users
    - odoo_api_keys_of_unprotected_users
    - odoo_api_key_oldest_creation_timestamp_seconds
    - odoo_api_key_next_expiry_timestamp_seconds
    - odoo_api_keys_unused
    - odoo_mfa_policy
    - odoo_mfa_enforced
    - odoo_mfa_module_installed
    - odoo_mfa_bypass_present
    - odoo_password_rpc_users
    - odoo_password_rpc_used_users
    + odoo_capability{target="erp",team="finance",capability="passkeys"} 0
    + odoo_capability{target="erp",team="finance",capability="api_keys"} 0
    + odoo_capability{target="erp",team="finance",capability="trusted_devices"} 0
    + odoo_capability{target="erp",team="finance",capability="policy"} 0
    + odoo_capability{target="erp",team="finance",capability="modules"} 0
    + odoo_capability{target="erp",team="finance",capability="groups"} 0
    + odoo_capability{target="erp",team="finance",capability="logins"} 0
    "##);
}

#[tokio::test]
async fn a_target_that_is_down_says_nothing_of_its_users() {
    assert_snapshot!(difference(partly_blind("erp"), down("erp")).await, @r##"
    - odoo_users
    - odoo_mfa_eligible_users
    - odoo_mfa_protected_users
    - odoo_mfa_coverage_ratio
    - odoo_mfa_coverage_target_ratio{target="erp",team="finance",user_type="none"}
    - odoo_mfa_enrolled_users
    - odoo_mfa_grace_users
    - odoo_mfa_well_known_accounts_active
    - odoo_mfa_well_known_accounts_privileged
    - odoo_mfa_exempt_users
    - odoo_mfa_exemptions
    - odoo_mfa_sso_users
    + odoo_up{target="erp",team="finance"} 0
    + odoo_poll_failing{target="erp",team="finance",reason="auth"} 1
    + odoo_polls_total{target="erp",team="finance",result="failure"} 2
    + odoo_poll_failures_total{target="erp",team="finance",reason="auth"} 1
    + odoo_capability{target="erp",team="finance",capability="passkeys"} 1
    + odoo_capability{target="erp",team="finance",capability="api_keys"} 1
    + odoo_capability{target="erp",team="finance",capability="trusted_devices"} 1
    + odoo_capability{target="erp",team="finance",capability="policy"} 1
    + odoo_capability{target="erp",team="finance",capability="modules"} 1
    + odoo_capability{target="erp",team="finance",capability="groups"} 1
    + odoo_capability{target="erp",team="finance",capability="logins"} 1
    "##);
}

#[tokio::test]
async fn the_exporter_itself() {
    let shown = Shown::new([pending("new"), up("erp"), down("crm"), up("shop")]);
    shown.state.config_loaded(
        "2026-11-24T05:00:00Z".parse().expect("a timestamp"),
        u64::MAX,
    );
    shown.state.config_rejected();
    let _poll = shown
        .state
        .poll_started(Duration::from_millis(30), Duration::from_secs(30));
    drop(
        shown
            .state
            .poll_started(Duration::from_secs(90), Duration::from_secs(30)),
    );
    let text = shown.text(Format::OpenMetrics).await;
    let own = text
        .lines()
        .filter(|line| line.contains("odoo_mfa_exporter_"));
    let own = own.map(|line| format!("{line}\n")).collect::<String>();
    let own = own.replace(BuildInfo::THIS.rustc, "RUSTC");
    assert_snapshot!(own, @r##"
    # HELP odoo_mfa_exporter_build_info What is running; always 1.
    # TYPE odoo_mfa_exporter_build_info gauge
    odoo_mfa_exporter_build_info{version="0.2.0",revision="development",rustc="RUSTC"} 1
    # HELP odoo_mfa_exporter_config_last_reload_successful Whether the last attempt to load the configuration succeeded.
    # TYPE odoo_mfa_exporter_config_last_reload_successful gauge
    odoo_mfa_exporter_config_last_reload_successful 0
    # HELP odoo_mfa_exporter_config_last_reload_success_timestamp_seconds When the configuration was last loaded.
    # TYPE odoo_mfa_exporter_config_last_reload_success_timestamp_seconds gauge
    # UNIT odoo_mfa_exporter_config_last_reload_success_timestamp_seconds seconds
    odoo_mfa_exporter_config_last_reload_success_timestamp_seconds 1795496400.0
    # HELP odoo_mfa_exporter_config_hash A hash of the configuration in force.
    # TYPE odoo_mfa_exporter_config_hash gauge
    odoo_mfa_exporter_config_hash 281474976710655
    # HELP odoo_mfa_exporter_targets Configured targets, by state.
    # TYPE odoo_mfa_exporter_targets gauge
    odoo_mfa_exporter_targets{state="up"} 2
    odoo_mfa_exporter_targets{state="down"} 1
    odoo_mfa_exporter_targets{state="pending"} 1
    # HELP odoo_mfa_exporter_polls_in_flight Polls that run right now.
    # TYPE odoo_mfa_exporter_polls_in_flight gauge
    odoo_mfa_exporter_polls_in_flight 1
    # HELP odoo_mfa_exporter_poll_lag_seconds Time from when a poll was due until it started.
    # TYPE odoo_mfa_exporter_poll_lag_seconds histogram
    # UNIT odoo_mfa_exporter_poll_lag_seconds seconds
    odoo_mfa_exporter_poll_lag_seconds_sum 90.03
    odoo_mfa_exporter_poll_lag_seconds_count 2
    odoo_mfa_exporter_poll_lag_seconds_bucket{le="0.001"} 0
    odoo_mfa_exporter_poll_lag_seconds_bucket{le="0.005"} 0
    odoo_mfa_exporter_poll_lag_seconds_bucket{le="0.01"} 0
    odoo_mfa_exporter_poll_lag_seconds_bucket{le="0.05"} 1
    odoo_mfa_exporter_poll_lag_seconds_bucket{le="0.1"} 1
    odoo_mfa_exporter_poll_lag_seconds_bucket{le="0.25"} 1
    odoo_mfa_exporter_poll_lag_seconds_bucket{le="0.5"} 1
    odoo_mfa_exporter_poll_lag_seconds_bucket{le="1.0"} 1
    odoo_mfa_exporter_poll_lag_seconds_bucket{le="2.5"} 1
    odoo_mfa_exporter_poll_lag_seconds_bucket{le="5.0"} 1
    odoo_mfa_exporter_poll_lag_seconds_bucket{le="15.0"} 1
    odoo_mfa_exporter_poll_lag_seconds_bucket{le="60.0"} 1
    odoo_mfa_exporter_poll_lag_seconds_bucket{le="+Inf"} 2
    # HELP odoo_mfa_exporter_shard Which part of the targets this process polls; always 1.
    # TYPE odoo_mfa_exporter_shard gauge
    odoo_mfa_exporter_shard{shard="0",total_shards="1"} 1
    # HELP odoo_mfa_exporter_store_errors Operations of the store that failed.
    # TYPE odoo_mfa_exporter_store_errors counter
    odoo_mfa_exporter_store_errors_total 0
    # HELP odoo_mfa_exporter_series_dropped Series that were not exported because of a limit.
    # TYPE odoo_mfa_exporter_series_dropped counter
    odoo_mfa_exporter_series_dropped_total 0
    "##);

    let process: BTreeMap<String, f64> = Text::read(&text)
        .samples
        .into_iter()
        .filter(|sample| sample.name.starts_with("process_"))
        .map(|sample| (sample.name, sample.value))
        .collect();
    assert!(process["process_start_time_seconds"] > 1.7e9);
    assert!(process["process_resident_memory_bytes"] > 1e6);
    assert!(process["process_open_fds"] < process["process_max_fds"]);
    assert!(process.contains_key("process_cpu_seconds_total"));
}

#[tokio::test]
async fn a_restored_target_is_up_before_its_first_poll() {
    let restored = TargetSnapshot {
        posture: Some(Arc::new(posture())),
        ..pending("erp")
    };
    let text = Text::read(&Shown::new([restored]).text(Format::Classic).await);
    assert_eq!(
        text.of("odoo_up").next().map(|sample| sample.value),
        Some(1.0)
    );
}

#[tokio::test]
async fn public_people_are_exported_only_where_there_are_some() {
    let with_public = |active, archived| {
        let mut posture = posture();
        posture.active[UserType::Public] = active;
        posture.archived[UserType::Public] = archived;
        let posture = Some(Arc::new(posture));
        TargetSnapshot {
            posture,
            ..up("erp")
        }
    };
    for (target, expected) in [
        (up("erp"), false),
        (with_public(1, 0), true),
        (with_public(0, 1), true),
    ] {
        let text = Text::read(&Shown::new([target]).text(Format::Classic).await);
        let families: BTreeSet<&str> = text
            .samples
            .iter()
            .filter(|sample| {
                sample
                    .labels
                    .get("user_type")
                    .is_some_and(|t| t == "public")
            })
            .map(|sample| sample.name.as_str())
            .collect();
        assert_eq!(families.contains("odoo_users"), expected);
        assert_eq!(families.contains("odoo_mfa_enforced"), expected);
        assert!(
            !families.contains("odoo_mfa_coverage_ratio"),
            "nobody is eligible"
        );
    }
}

#[tokio::test]
async fn families_stay_together_when_there_are_several_targets() {
    let text = Shown::new([up("erp"), up("crm")])
        .text(Format::OpenMetrics)
        .await;
    let samples = Text::read(&text).samples;
    let mut names: Vec<&str> = samples.iter().map(|sample| sample.name.as_str()).collect();
    names.dedup();
    let distinct: BTreeSet<&str> = names.iter().copied().collect();
    assert_eq!(names.len(), distinct.len(), "{names:?}");
}

#[tokio::test]
async fn promtool_has_nothing_to_complain_about() {
    let shown = Shown::new([up("erp"), down("crm"), pending("new"), partly_blind("shop")]);
    assert_eq!(check_metrics(&shown.text(Format::Classic).await), "");
}

#[test]
fn help_needs_no_escapes_and_names_are_distinct() {
    let mut names = BTreeSet::new();
    for family in catalogue::families() {
        assert!(names.insert(family.name), "{} twice", family.name);
        assert!(!family.help.contains(['"', '\\', '\n']), "{}", family.help);
        assert!(
            family.help.ends_with('.') && !family.help.starts_with(' '),
            "{}",
            family.name
        );
        assert_eq!(
            family.kind == Kind::Counter,
            family.name.ends_with("_total"),
            "{}",
            family.name
        );
    }
}

/// The kept body, by where it lies in memory.
async fn kept(shown: &Shown, format: Format, coding: Coding) -> *const u8 {
    match shown.exposition.body(format, coding).await {
        Body::Whole(bytes) => bytes.as_ptr(),
        Body::Stream(_) => panic!("it is too large"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_is_kept_until_something_in_it_changes() {
    let shown = Shown::new([up("erp"), up("crm")]);
    for format in [Format::OpenMetrics, Format::Classic] {
        for coding in [Coding::Identity, Coding::Gzip] {
            let scrapes = (0..50).map(|_| kept(&shown, format, coding));
            let bodies = futures::future::join_all(scrapes).await;
            let distinct: BTreeSet<_> = bodies.into_iter().collect();
            assert_eq!(distinct.len(), 1, "encoded once for 50 scrapes");
        }
    }

    let before = of_targets(&shown.text(Format::OpenMetrics).await);
    shown.board.slots()[0].publish(down("erp"));
    let after = of_targets(&shown.text(Format::OpenMetrics).await);
    assert_ne!(before, after);

    // What the exporter says of itself is never older than the call.
    shown
        .state
        .config_loaded("2026-11-24T05:00:00Z".parse().expect("a timestamp"), 42);
    let text = Text::read(&shown.text(Format::Classic).await);
    assert_eq!(
        text.of("odoo_mfa_exporter_config_hash")
            .next()
            .map(|sample| sample.value),
        Some(42.0)
    );

    shown.board.show(shown.board.slots()[1..].to_vec());
    let text = Text::read(&shown.text(Format::Classic).await);
    assert!(
        text.samples
            .iter()
            .all(|sample| sample.labels.get("target").is_none_or(|name| name == "crm"))
    );
    let targets: f64 = text
        .of("odoo_mfa_exporter_targets")
        .map(|sample| sample.value)
        .sum();
    assert_eq!(targets, 1.0);
}

#[tokio::test(start_paused = true)]
async fn a_body_is_kept_for_a_second_at_most() {
    let shown = Shown::new([up("erp")]);
    let kept = async || kept(&shown, Format::Classic, Coding::Identity).await;
    let first = kept().await;
    tokio::time::advance(Duration::from_millis(900)).await;
    assert_eq!(kept().await, first);
    tokio::time::advance(Duration::from_millis(100)).await;
    assert_ne!(kept().await, first);
}

/// More than is kept.
fn large() -> Shown {
    Shown::new((0..400).map(|number| up(&format!("erp-{number}"))))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_exposition_is_streamed_and_whole() {
    let shown = large();
    let body = shown.exposition.body(Format::OpenMetrics, Coding::Identity);
    assert!(matches!(body.await, Body::Stream(_)), "it is kept");
    let text = shown.text(Format::OpenMetrics).await;
    let read = Text::read(&text);
    assert!(read.ended && text.len() > 4 << 20);
    assert_eq!(read.of("odoo_password_rpc_users").count(), 3 * 400);

    let zipped = shown.bytes(Format::OpenMetrics, Coding::Gzip).await;
    let unzipped = std::io::read_to_string(flate2::read::GzDecoder::new(zipped.as_slice()));
    assert_eq!(of_targets(&unzipped.expect("gzip")), of_targets(&text));
}

#[tokio::test(flavor = "multi_thread")]
async fn six_hundred_slow_readers_do_not_stop_a_scrape() {
    let shown = large();
    let mut slow = Vec::new();
    for _ in 0..600 {
        let body = shown.exposition.body(Format::Classic, Coding::Identity);
        slow.push(body.await);
    }
    let text = shown.text(Format::Classic).await;
    assert_eq!(
        Text::read(&text).of("odoo_password_rpc_users").count(),
        3 * 400
    );
    drop(slow);
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_takes_nothing_for_ten_seconds_is_dropped() {
    let shown = large();
    let body = async || {
        let body = shown.exposition.body(Format::Classic, Coding::Identity);
        axum::body::Body::from_stream(body.await.into_stream()).into_data_stream()
    };
    for (pause, whole) in [(9, true), (11, false)] {
        let mut chunks = body().await;
        let mut read = Vec::new();
        while let Some(chunk) = chunks.next().await {
            read.push(chunk);
            if read.len() < 4 {
                tokio::time::sleep(Duration::from_secs(pause)).await;
            }
        }
        assert_eq!(read.iter().all(Result::is_ok), whole, "after {pause} s");
        assert_eq!(read.len() > 8, whole, "{} chunks", read.len());
    }
}

#[tokio::test]
async fn half_an_exposition_does_not_pass_for_a_whole_one() {
    let (sender, rest) = tokio::sync::mpsc::channel(1);
    drop(sender);
    let body = axum::body::Body::from_stream(Body::Stream(rest).into_stream());
    assert!(axum::body::to_bytes(body, usize::MAX).await.is_err());
}

fn any_posture() -> impl Strategy<Value = Posture> {
    let counts = || prop::array::uniform4(0..1000u64).prop_map(PerType);
    let maybe = || prop::option::of(counts());
    let parts = (counts(), maybe(), maybe(), maybe(), any::<[bool; 6]>());
    parts.prop_map(|(archived, protected, passkey, saml, missing)| {
        let mut posture = Posture {
            archived,
            protected,
            passkey,
            saml,
            ..posture()
        };
        if missing[0] {
            posture.keys = None;
        }
        if missing[1] {
            posture.privileged = None;
        }
        if missing[2] {
            posture.modules = None;
        }
        if missing[3] {
            posture.enforcement = None;
        }
        if missing[4] {
            posture.devices = None;
        }
        if missing[5] {
            posture.poller_key_expiry = None;
        }
        posture
    })
}

fn any_target() -> impl Strategy<Value = TargetSnapshot> {
    let text = || "(?s)[\"\\\\\n\r{},=# a-zé🔑]{1,12}";
    (text(), text(), text(), prop::option::of(any_posture())).prop_map(
        |(name, label, database, posture)| TargetSnapshot {
            identity: Arc::new(Identity {
                labels: vec![("site".into(), label)],
                database,
                ..(*identity(&name)).clone()
            }),
            posture: posture.map(Arc::new),
            ..up(&name)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn both_formats_say_the_same_and_only_what_the_catalogue_declares(targets in prop::collection::vec(any_target(), 0..4)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        let shown = Shown::new(targets.clone());
        let (openmetrics, classic) = runtime.block_on(async {
            (shown.text(Format::OpenMetrics).await, shown.text(Format::Classic).await)
        });
        let (openmetrics, classic) = (Text::read(&openmetrics), Text::read(&classic));
        let comparable = |text: &Text| -> Vec<Sample> {
            // These move between two scrapes.
            text.samples.iter().filter(|sample| !sample.name.starts_with("process_")).cloned().collect()
        };
        prop_assert_eq!(comparable(&openmetrics), comparable(&classic));
        prop_assert!(openmetrics.ended && !classic.ended);

        for family in catalogue::families() {
            let (om, text) = (openmetrics.families.get(family.metric_name()), classic.families.get(family.name));
            prop_assert_eq!(om.map(|f| (&f.kind, &f.help)), text.map(|f| (&f.kind, &f.help)));
            if let Some(om) = om {
                prop_assert_eq!((om.kind.as_str(), om.help.as_str(), om.unit.as_deref()), (family.kind.as_str(), family.help, family.unit()));
                prop_assert_eq!(text.and_then(|f| f.unit.as_deref()), None);
            }
        }
        for sample in &classic.samples {
            let stem = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| sample.name.strip_suffix(suffix));
            let family = catalogue::family(&sample.name).or_else(|| catalogue::family(stem?)).expect(&sample.name);
            let mut labels = sample.labels.clone();
            if family.is_of_targets() {
                let target = (labels.remove("target"), labels.remove("site"));
                let known = |t: &TargetSnapshot| (Some(t.identity.name.clone()), Some(t.identity.labels[0].1.clone())) == target;
                prop_assert!(targets.iter().any(known), "{:?}", target);
            }
            if family.kind == Kind::Histogram {
                labels.remove("le");
            }
            let names: BTreeSet<&str> = family.labels.iter().map(|label| label.name).collect();
            prop_assert_eq!(labels.keys().map(String::as_str).collect::<BTreeSet<_>>(), names);
            for label in family.labels {
                prop_assert!(label.values.is_empty() || label.values.contains(&labels[label.name].as_str()), "{:?}", sample);
            }
            prop_assert!(sample.value.is_finite());
        }
    }
}
