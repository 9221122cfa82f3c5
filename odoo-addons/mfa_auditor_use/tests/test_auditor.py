"""The group 'MFA auditor' and its account: what they may read, and that they are refused the rest."""

from odoo.exceptions import AccessError, UserError
from odoo.tests import tagged
from odoo.tools import mute_logger

from .common import AuditorCase, parameter

READ = ("res.users.apikeys", "auth_totp.device", "auth.passkey.key")


@tagged("post_install", "-at_install")
class TestAuditor(AuditorCase):
    def read_models(self):
        return [model for model in READ if model in self.env]

    def test_the_account_is_the_least_that_sees_everybody(self):
        self.assertTrue(self.account.has_group("base.group_user"))
        self.assertTrue(self.account.has_group("mfa_auditor.group_mfa_auditor"))
        self.assertFalse(self.account.has_group("base.group_erp_manager"))
        self.assertEqual(self.account.company_ids, self.env["res.company"].search([]))
        self.env.cr.execute("SELECT password IS NULL FROM res_users WHERE id = %s", [self.account.id])
        self.assertEqual(self.env.cr.fetchall(), [(True,)])

    def test_the_key_opens_rpc(self):
        self.assertEqual(self.env["res.users.apikeys"]._check_credentials(scope="rpc", key=self.key), self.account.id)

    def test_the_action_repairs_the_account_and_keeps_its_keys(self):
        self.account.write({self.groups_field: [(3, self.group.id)]})
        self.assertNotEqual(self.action.run()["context"]["default_key"], self.key)
        self.assertTrue(self.account.has_group("mfa_auditor.group_mfa_auditor"))
        self.test_the_key_opens_rpc()

    def test_the_action_refuses_an_account_with_too_many_rights(self):
        self.account.write({self.groups_field: [(4, self.env.ref("base.group_erp_manager").id)]})
        with self.assertRaisesRegex(UserError, "administration rights"):
            self.action.run()

    def test_the_action_refuses_an_archived_account(self):
        self.account.active = False
        with self.assertRaisesRegex(UserError, "archived"):
            self.action.run()

    def test_the_action_is_for_administrators(self):
        for user in (self.user_1, self.account):
            with self.assertRaises(UserError), mute_logger("odoo.addons.base.models.ir_actions"):
                self.action.with_user(user).run()

    def test_the_group_grants_reading_and_nothing_else(self):
        # 20 lets every group imply this one, which every internal user of the usual kind has.
        regular = self.env.ref("base.group_user_regular", raise_if_not_found=False) or self.env["res.groups"]
        self.assertFalse(self.group.implied_ids - regular)
        group_fields = {"ir.access": "group_id"} if "ir.access" in self.env else {"ir.model.access": "group_id", "ir.rule": "groups"}
        for granted, field in group_fields.items():
            rows = self.env[granted].search([(field, "in", self.group.ids)])
            models = rows.mapped("model_id.model")
            self.assertEqual(set(models) - {"res.users.log"}, set(self.read_models()), granted)
            self.assertEqual(len(models), len(rows), "an update adds no row twice")
            for row in rows:
                if granted == "ir.access":
                    self.assertEqual(row.operation, "r", row.name)
                else:
                    self.assertTrue(row.perm_read, row.name)
                    self.assertFalse(row.perm_write or row.perm_create or row.perm_unlink, row.name)
                # So Odoo deletes it with the module.
                self.assertRegex(row.get_external_id()[row.id], r"^mfa_auditor(_passkey)?\.")

    def test_grants_are_for_administrators(self):
        action = self.env.ref("mfa_auditor.action_grant").with_context(mfa_auditor_grants=[])
        for user in (self.user_1, self.account):
            with self.assertRaises(UserError), mute_logger("odoo.addons.base.models.ir_actions"):
                action.with_user(user).run()

    def test_it_sees_everybodys_rows(self):
        for model in self.read_models():
            everything = self.env[model].sudo().search([])
            self.assertEqual(self.env[model].with_user(self.account).search([]), everything, model)
        owners = self.env["res.users.apikeys"].with_user(self.account).search([]).mapped("user_id")
        self.assertIn(self.user_1, owners)
        nobody = self.user("mfa-other", "base.group_user")
        self.assertFalse(self.env["res.users.apikeys"].with_user(nobody).search([]))

    def test_it_changes_nothing(self):
        for model in self.read_models():
            owner = "user_id" if "user_id" in self.env[model]._fields else "create_uid"
            rows = self.env[model].sudo().search([(owner, "!=", self.account.id)])
            for row in rows.with_user(self.account)[:1]:
                with self.assertRaises(AccessError, msg=model):
                    row.write({"name": "changed"})
                with self.assertRaises(AccessError, msg=model):
                    row.unlink()
            with self.assertRaises(AccessError, msg=model):
                self.env[model].with_user(self.account).create({"name": "new"})
        key = self.env["res.users.apikeys"].search([("user_id", "=", self.user_1.id)])
        with self.assertRaises(AccessError):
            key.with_user(self.account)._remove() if hasattr(key, "_remove") else key.with_user(self.account).remove()
        for values in ({"name": "changed"}, {"active": False}, {"company_ids": [(5,)]}, {self.groups_field: [(5,)]}):
            with self.assertRaises(AccessError, msg=values):
                self.user_1.with_user(self.account).write(values)
        with self.assertRaises(AccessError):
            self.user_1.with_user(self.account).unlink()
        with self.assertRaises(AccessError):
            self.account.with_user(self.account).write({self.groups_field: [(4, self.env.ref("base.group_system").id)]})

    def test_other_models_are_closed(self):
        rules = "ir.access" if "ir.access" in self.env else "ir.rule"
        for model in ("ir.config_parameter", "ir.mail_server", "ir.logging", rules, "ir.cron", "mfa.auditor.use"):
            with self.assertRaises(AccessError, msg=model):
                self.env[model].with_user(self.account).search([]).read(["id"])
        with self.assertRaises(AccessError):
            parameter(self.env(user=self.account), "database.secret")
        with self.assertRaises(AccessError):
            parameter(self.env(user=self.account), "auth_totp.policy", "")

    def test_no_secret_is_a_field(self):
        for model in self.read_models():
            fields = self.env[model].with_user(self.account).fields_get()
            self.assertFalse({"key", "index", "public_key", "credential_identifier", "totp_secret"} & set(fields), model)
        with self.assertRaises(AccessError):
            self.user_1.with_user(self.account).read(["totp_secret"])
        self.assertFalse(self.user_1.with_user(self.account).read(["password"])[0]["password"])
