"""`read_facts`: the same numbers that one gets by asking one by one, and no name."""

import json

from odoo.exceptions import AccessError, UserError
from odoo.tests import tagged

from .common import AuditorCase, generate

QUESTION = {
    "format": 1,
    "roles": {"settings": ["base.group_system", "no.such_group"], "nobody": ["no.such_group"]},
    "exemptions": [{"login": "mfa-somebody"}, {"like": "mfa-%"}, {"group": "mfa_auditor.group_mfa_auditor"}],
    "recent_since": "2000-01-01 00:00:00",
    "awake_since": "2000-01-01 00:00:00",
    "modules": ["auth_totp", "no_such_module"],
    "parts": ["keys", "devices", "roles", "logins", "sso"],
}


@tagged("post_install", "-at_install")
class TestFacts(AuditorCase):
    def ask(self, user=None, **more):
        return self.env["mfa.auditor"].with_user(user or self.account).read_facts({**QUESTION, **more})

    def test_everybody_is_counted_once(self):
        people = self.ask()["people"]
        names = ("user_root", "default_user", "public_user", "template_portal_user_id")
        found = [self.env.ref(f"base.{name}", raise_if_not_found=False) for name in names]
        pseudo = {user.id for user in found if user}
        if "website" in self.env:
            pseudo |= set(self.env["website"].search([]).mapped("user_id").ids)
        everybody = self.env["res.users"].with_context(active_test=False).search([("id", "not in", list(pseudo))])
        active = everybody.filtered("active")
        self.assertEqual(sum(people["archived"]), len(everybody - active))
        known = people["internal"] + people["public"] + people["none"]
        self.assertEqual(len(known) + people["portal"], len(active))
        self.assertEqual(set(people["internal"]), {user.id for user in active if user.has_group("base.group_user")})
        self.assertEqual(people["portal"], sum(user.has_group("base.group_portal") for user in active))

    def test_sets_are_those_of_the_orm(self):
        facts = self.ask()
        internal = self.env["res.users"].browse(facts["people"]["internal"])
        of_internal = set(internal.ids)
        self.assertEqual(of_internal & set(facts["totp"]), set(internal.filtered("totp_enabled").ids))
        self.assertEqual(set(facts["roles"]["settings"]), {user.id for user in internal if user.has_group("base.group_system")})
        self.assertEqual(facts["roles"]["nobody"], [])
        login, like, group = facts["exemptions"]
        self.assertEqual(login, self.somebody.ids)
        self.assertEqual(set(like), {self.somebody.id, self.account.id})
        self.assertIn(self.account.id, group)
        self.assertEqual(facts["modules"], ["auth_totp"])

    def test_rows_are_those_of_the_tables(self):
        facts = self.ask()
        keys = {row[0]: row for row in facts["keys"]}
        mine = self.env["res.users.apikeys"].search([("user_id", "=", self.account.id)], order="id desc", limit=1)
        self.assertEqual(keys[mine.id][:3], (mine.id, self.account.id, "rpc"))
        self.assertIn(self.somebody.id, [row[1] for row in facts["devices"]])

    def test_nothing_that_names_or_opens(self):
        secret = generate(self.somebody)
        told = json.dumps(self.ask())
        for text in (secret, secret[:8], self.key, self.key[:8], "mfa-somebody", "totp_secret"):
            self.assertNotIn(text, told)

    def test_parts_are_left_out(self):
        facts = self.ask(parts=[])
        for part in ("keys", "devices", "roles", "awake", "oauth", "saml", "use"):
            self.assertNotIn(part, facts)

    def test_others_are_refused(self):
        with self.assertRaises(AccessError):
            self.ask(self.somebody)
        with self.assertRaises(AccessError):
            self.ask(self.user("mfa-portal", "base.group_portal", "mfa_auditor.group_mfa_auditor"))
        with self.assertRaises(UserError):
            self.ask(format=2)
        self.assertNotIn("mfa_auditor_facts_1", self.env["res.users"].with_user(self.somebody).fields_get())
        self.assertIn("mfa_auditor_facts_1", self.env["res.users"].with_user(self.account).fields_get())

    def test_an_account_outside_a_company_learns_nothing(self):
        self.env["res.company"].create({"name": "MFA other"})
        self.account.company_ids = self.account.company_id
        facts = self.ask()
        self.assertLess(facts["companies"][0], facts["companies"][1])
        self.assertNotIn("people", facts)

    def test_new_companies_are_opened_to_auditors_of_all(self):
        partial = self.user("mfa-partial", "base.group_user", "mfa_auditor.group_mfa_auditor")
        first = self.env["res.company"].create({"name": "MFA first"})
        partial.company_ids = partial.company_id
        second = self.env["res.company"].create({"name": "MFA second"})
        self.assertLessEqual(first | second, self.account.company_ids)
        self.assertNotIn(second, partial.company_ids)
