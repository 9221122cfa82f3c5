"""What is noted of the use of keys and passwords, over HTTP as others use them."""

import threading
from unittest.mock import patch

from odoo import release
from odoo.addons.mfa_auditor_use.models import mfa_auditor_use as use
from odoo.tests import HttpCase, new_test_user, tagged

from .common import generate, parameter

PASSWORD = "mfa-use: a password"


@tagged("post_install", "-at_install")
class TestUse(HttpCase):
    # Otherwise 18 and 19 simulate a replica on the test's one connection, where nothing else may write meanwhile.
    readonly_enabled = False
    _registry_readonly_enabled = False

    def setUp(self):
        super().setUp()
        self.forget()
        self.addCleanup(self.forget)
        # From 19 on it closes RPC to passwords alone.
        parameter(self.env, "auth_totp.policy", False)
        self.person = new_test_user(self.env, "mfa-use", "base.group_user", password=PASSWORD)
        self.key = generate(self.person)
        self.warm(self.key)
        self.key_id = self.env["res.users.apikeys"].search([("user_id", "=", self.person.id)]).id

    def forget(self):
        use._seen.clear()
        use._pending.clear()
        use._paused.clear()

    def warm(self, secret):
        """Up to 18 the first check runs in a cursor that Odoo rolls back. In tests, and only there, the module's cursor is a part of it."""
        self.call(secret)
        self.env.cr.execute("DELETE FROM mfa_auditor_use WHERE user_id = %s", [self.person.id])
        self.forget()

    def call(self, secret, ok=True):
        if release.version_info[0] >= 19 and secret != PASSWORD:
            domain = '{"domain": [["id", "=", 1]]}'
            headers = {"Authorization": f"bearer {secret}", "Content-Type": "application/json", "X-Odoo-Database": self.env.cr.dbname}
            reply = self.url_open("/json/2/res.users/search_count", data=domain, headers=headers)
            self.assertEqual(reply.ok, ok, reply.text)
        else:
            if "rpc" in self.env["ir.module.module"].search([("state", "=", "uninstalled")]).mapped("name"):
                self.skipTest("without the module rpc no password opens RPC")
            arguments = self.env.cr.dbname, self.person.id, secret, "res.users", "search_count", [[("id", "=", 1)]]
            if ok:
                self.xmlrpc_object.execute_kw(*arguments)
            else:
                with self.assertRaises(Exception):  # noqa: B017 (its class differs between versions)
                    self.xmlrpc_object.execute_kw(*arguments)

    def noted(self):
        self.env.cr.execute("SELECT key_id, last_use FROM mfa_auditor_use WHERE user_id = %s ORDER BY key_id", [self.person.id])
        return self.env.cr.fetchall()

    def age(self, minutes):
        self.env.cr.execute(
            "UPDATE mfa_auditor_use SET last_use = last_use - %s * interval '1 minute' WHERE user_id = %s", [minutes, self.person.id]
        )
        return self.noted()

    def test_a_key(self):
        self.call(self.key)
        self.assertEqual([key for key, _when in self.noted()], [self.key_id])

    def test_a_password(self):
        self.warm(PASSWORD)
        self.call(PASSWORD)
        self.assertEqual([key for key, _when in self.noted()], [None])

    def test_a_wrong_secret(self):
        self.call("0" * 40, ok=False)
        self.assertEqual(self.noted(), [])

    def test_at_most_hourly(self):
        self.call(self.key)
        before = self.age(120)
        self.call(self.key)
        self.assertEqual(self.noted(), before, "the process knows that it wrote it")
        self.forget()
        self.call(self.key)
        after = self.noted()
        self.assertGreater(after[0][1], before[0][1], "two hours later")
        before = self.age(30)
        self.forget()
        self.call(self.key)
        self.assertEqual(self.noted(), before, "half an hour later, by another process")

    def test_a_key_that_is_gone_leaves_nothing(self):
        self.call(self.key)
        self.env["res.users.apikeys"].browse(self.key_id).sudo().unlink()
        self.assertEqual(self.noted(), [])
        use.note(self.registry, self.person.id, self.key)
        self.assertEqual(self.noted(), [])

    def test_a_person_who_is_gone_leaves_nothing(self):
        self.warm(PASSWORD)
        self.call(PASSWORD)
        # Up to 17 Odoo keeps people who have a key.
        self.env["res.users.apikeys"].browse(self.key_id).sudo().unlink()
        self.person.unlink()
        self.assertEqual(self.noted(), [])

    def test_a_trusted_device_is_no_key(self):
        device = generate(self.person, "browser", "auth_totp.device")
        found = self.env["auth_totp.device"]._check_credentials(scope="browser", key=device)
        self.assertEqual(found, self.person.id)
        self.assertEqual(self.noted(), [])

    def test_the_login_page_is_no_rpc(self):
        credential = {"type": "password", "login": "mfa-use", "password": PASSWORD} if release.version_info[0] >= 18 else PASSWORD
        users = self.person.with_user(self.person)
        users._check_credentials(credential, {"interactive": True})
        self.assertEqual(self.noted(), [])

    def test_a_failing_write_fails_no_request_and_is_made_up_for(self):
        other = generate(self.person)
        self.warm(other)
        with patch.object(use, "_write", side_effect=RuntimeError(self.key)), self.assertLogs(use._logger, "WARNING") as log:
            self.call(self.key)
        self.assertNotIn(self.key, "".join(log.output))
        self.assertEqual(self.noted(), [])
        self.call(other)
        self.assertEqual(self.noted(), [], "paused")
        use._paused.clear()
        self.call(self.key)
        self.assertEqual(len(self.noted()), 2)
        self.assertFalse(any(use._pending.values()))

    def test_only_a_write_to_the_same_database_is_waited_for(self):
        other, own = (use._locks.setdefault(name, threading.Lock()) for name in ("mfa-other", self.registry.db_name))
        with own:
            use.note(self.registry, self.person.id, self.key)
        self.assertEqual(self.noted(), [], "another thread writes to this database")
        with other:
            use.note(self.registry, self.person.id, PASSWORD)
        self.assertEqual([key for key, _when in self.noted()], [self.key_id, None])

    def test_no_timeout_is_left_behind(self):
        self.call(self.key)
        self.env.cr.execute("SELECT setting FROM pg_settings WHERE name IN ('lock_timeout', 'statement_timeout') AND setting <> reset_val")
        self.assertEqual(self.env.cr.fetchall(), [])
