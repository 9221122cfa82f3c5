"""`read_facts`: the same numbers as asking one by one gives, and no name."""

import json
from unittest.mock import patch

from odoo.exceptions import AccessError, UserError
from odoo.tests import tagged

from .common import AuditorCase, generate, parameter

QUESTION = {
    "format": 2,
    "roles": {"settings": ["base.group_system", "no.such_group"], "empty": ["no.such_group"]},
    "exemptions": [{"login": "mfa-user"}, {"like": "mfa-%"}, {"group": "mfa_auditor.group_mfa_auditor"}],
    "recent_since": "2000-01-01 00:00:00",
    "awake_since": "2000-01-01 00:00:00",
    "modules": ["auth_totp", "no_such_module"],
    "parts": ["keys", "devices", "roles", "logins", "sso"],
}


@tagged("post_install", "-at_install")
class TestFacts(AuditorCase):
    def ask(self, user=None, **more):
        return self.env["mfa.auditor"].with_user(user or self.account).read_facts({**QUESTION, **more})

    def secret(self, user, secret):
        """Writes it by SQL, as migrations do: the ORM stores no empty one."""
        self.env.cr.execute("UPDATE res_users SET totp_secret = %s WHERE id = %s", [secret, user.id])
        getattr(self.env, "invalidate_all", getattr(self.env.cache, "invalidate", None))()

    def well_known(self):
        names = ("default_user", "public_user", "template_portal_user_id")
        found = [self.env.ref(f"base.{name}", raise_if_not_found=False) for name in names]
        return [user for user in found if user]

    def test_every_user_is_counted_once(self):
        facts = self.ask()
        people = facts["people"]
        nobody = {user.id for user in (self.env.ref("base.user_root"), *self.well_known())}
        if "website" in self.env:
            nobody |= set(self.env["website"].search([]).mapped("user_id").ids)
        self.assertEqual(set(facts["portal_groups"]["nobody"]), nobody)
        self.assertEqual(facts["well_known_active"], [])
        everybody = self.env["res.users"].with_context(active_test=False).search([("id", "not in", list(nobody))])
        active = everybody.filtered("active")
        self.assertEqual(sum(people["archived"]), len(everybody - active))
        known = people["internal"] + people["public"] + people["none"]
        self.assertEqual(len(known) + people["portal"], len(active))
        self.assertEqual(set(people["internal"]), {user.id for user in active if user.has_group("base.group_user")})
        self.assertEqual(people["portal"], sum(user.has_group("base.group_portal") for user in active))

    def test_well_known_accounts_that_can_act_are_users(self):
        public = self.env.ref("base.public_user")
        self.secret(public, "JBSWY3DPEHPK3PXP")
        self.assertNotIn(public.id, self.ask()["totp"])
        public.active = True
        facts = self.ask()
        self.assertEqual(facts["well_known_active"], public.ids)
        self.assertNotIn(public.id, facts["portal_groups"]["nobody"])
        self.assertIn(public.id, facts["people"]["public"])
        self.assertIn(public.id, facts["totp"])
        self.assertIn(self.env.ref("base.user_root").id, facts["portal_groups"]["nobody"])

    def test_well_known_accounts_are_found_by_their_xml_id(self):
        data = self.env["ir.model.data"].search([("module", "=", "base"), ("name", "=", "template_portal_user_id")])
        other = self.user("mfa-template", "base.group_portal")
        other.active = False
        self.assertNotIn(other.id, self.ask()["portal_groups"]["nobody"])
        data.res_id = other.id
        self.assertIn(other.id, self.ask()["portal_groups"]["nobody"])
        data.unlink()
        self.assertNotIn(other.id, self.ask()["portal_groups"]["nobody"])

    def test_accounts_of_websites_are_users_if_they_may_enter(self):
        if "website" not in self.env:
            self.skipTest("no website")
        visitor = self.user("mfa-visitor", "base.group_portal")
        website = self.env["website"].search([], limit=1)
        website.user_id = visitor
        for active in (True, False):
            visitor.active = active
            facts = self.ask()
            self.assertEqual(facts["well_known_active"], visitor.ids, "a portal user, active or archived")
            self.assertNotIn(visitor.id, facts["portal_groups"]["nobody"])
        visitor.write({self.groups_field: [(6, 0, self.env.ref("base.group_public").ids)]})
        facts = self.ask()
        self.assertEqual(facts["well_known_active"], [])
        self.assertIn(visitor.id, facts["portal_groups"]["nobody"])
        website.user_id = self.user_1
        self.assertEqual(self.ask()["well_known_active"], self.user_1.ids)

    def test_an_empty_secret_is_no_factor(self):
        enrolled, empty = self.user("mfa-enrolled", "base.group_user"), self.user("mfa-empty", "base.group_user")
        archived, archived_empty = self.user("mfa-gone", "base.group_user"), self.user("mfa-gone-empty", "base.group_user")
        for user, secret in ((enrolled, "JBSWY3DPEHPK3PXP"), (empty, ""), (archived, "JBSWY3DPEHPK3PXP"), (archived_empty, "")):
            self.secret(user, secret)
        (archived | archived_empty).write({"active": False})

        def check():
            facts = self.ask()
            self.assertIn(enrolled.id, facts["totp"])
            self.assertFalse({empty.id, archived.id, archived_empty.id} & set(facts["totp"]))
            self.assertIn(archived.id, facts["archived_holders"])
            self.assertFalse({empty.id, enrolled.id, archived_empty.id} & set(facts["archived_holders"]))

        check()
        users = type(self.env["res.users"])
        with patch.object(users, "_compute_totp_enabled", lambda records, own=users._compute_totp_enabled: own(records)):
            check()

    def test_a_module_can_change_what_a_factor_is(self):
        enrolled, other = self.user("mfa-enrolled", "base.group_user"), self.user("mfa-other", "base.group_user")
        self.secret(enrolled, "JBSWY3DPEHPK3PXP")

        def only_other(records):
            for record in records:
                record.totp_enabled = record == other

        with patch.object(type(self.env["res.users"]), "_compute_totp_enabled", only_other):
            self.assertEqual(self.ask()["totp"], other.ids, "whom Odoo's search does not find")

    def test_links_to_a_disabled_provider_are_no_sso(self):
        if "auth.oauth.provider" not in self.env:
            self.skipTest("no OAuth")
        url = "https://mfa.example.com"
        values = {"name": "MFA", "body": "MFA", "auth_endpoint": url, "validation_endpoint": url, "enabled": True}
        provider = self.env["auth.oauth.provider"].create(values)
        self.user_1.write({"oauth_provider_id": provider.id, "oauth_uid": "mfa"})
        self.assertIn(self.user_1.id, self.ask()["oauth"])
        provider.enabled = False
        self.assertNotIn(self.user_1.id, self.ask()["oauth"])

    def test_a_group_has_several_names(self):
        group = self.env.ref("base.group_system")
        values = {"model": "res.groups", "res_id": group.id}
        self.env["ir.model.data"].create([{**values, "module": module, "name": "alias"} for module in ("auth_totp", "mfa_none")])
        roles = self.ask(roles={"a": ["auth_totp.alias"], "b": ["mfa_none.alias"], "c": ["base.group_system"]})["roles"]
        self.assertEqual(roles["a"], roles["c"])
        self.assertEqual(roles["b"], roles["c"])
        self.assertTrue(roles["c"])

    def test_groups_that_do_not_exist_are_named(self):
        deleted = self.env["res.groups"].create({"name": "MFA deleted"})
        self.env["ir.model.data"].create({"module": "auth_totp", "name": "deleted", "model": "res.groups", "res_id": deleted.id})
        deleted.unlink()
        roles = {"a": ["base.group_system", "base.no_such_group", "mfa_none.group"], "b": ["auth_totp.deleted", "base.user_root"]}
        exemptions = [{"group": "base.group_exempt"}, {"group": "mfa_none.exempt"}, {"login": "mfa-user"}]
        missing = self.ask(roles=roles, exemptions=exemptions)["missing_groups"]
        self.assertEqual(missing, ["auth_totp.deleted", "base.group_exempt", "base.no_such_group", "base.user_root"])

    def test_a_scope_is_told_as_it_is(self):
        generate(self.user_1)
        generate(self.user_1)
        keys = self.env["res.users.apikeys"].search([("user_id", "=", self.user_1.id)], order="id").ids
        for key, scope in zip(keys, ("rpc", "", None)):
            self.env.cr.execute("UPDATE res_users_apikeys SET scope = %s, create_date = NULL WHERE id = %s", [scope, key])
        rows = {row[0]: row for row in self.ask()["keys"]}
        self.assertEqual([rows[key][2:4] for key in keys], [("rpc", False), ("", False), (False, False)])

    def test_the_policy_is_a_parameter(self):
        parameter(self.env, "auth_totp.policy", False)
        self.assertIsNone(self.ask()["policy"])
        parameter(self.env, "auth_totp.policy", "employee_required")
        self.assertEqual(self.ask()["policy"], "employee_required")

    def test_rules_hide_no_user(self):
        """As global rules, private contacts and users of other companies do to any account but the superuser."""
        domains = {"res.users": [("login", "!=", "mfa-user")], "res.partner": [("name", "!=", "mfa-user")]}
        before = self.ask()
        for model, domain in domains.items():
            values = {"name": model, "model_id": self.env["ir.model"]._get(model).id}
            if "ir.access" in self.env:
                self.env["ir.access"].create({**values, "operation": "r", "domain": str(domain)})
            else:
                self.env["ir.rule"].create({**values, "domain_force": str(domain)})
        self.assertNotIn(self.user_1, self.env["res.users"].with_user(self.account).search([]))
        self.assertEqual(self.ask(), before)

    def test_users_of_archived_companies_are_counted(self):
        company = self.env["res.company"].create({"name": "MFA closed"})
        portal = self.user("mfa-customer", "base.group_portal")
        portal.write({"company_id": company.id, "company_ids": [(6, 0, company.ids)]})
        generate(portal)
        before = self.ask()
        if "active" not in company._fields:
            self.skipTest("companies cannot be archived before 16")
        self.env.cr.execute("UPDATE res_company SET active = false WHERE id = %s", [company.id])
        self.env.invalidate_all()
        after = self.ask()
        self.assertEqual(after["companies"], [number - 1 for number in before["companies"]])
        self.assertEqual({**after, "companies": before["companies"]}, before)
        self.assertIn(portal.id, [row[1] for row in after["keys"]])

    def test_a_module_that_filters_users_gets_no_answer(self):
        users = type(self.env["res.users"])
        with patch.object(users, "search_count", lambda self, *arguments, **options: 1), self.assertRaisesRegex(AccessError, "hides users"):
            self.ask()

    def test_sets_are_those_of_the_orm(self):
        facts = self.ask()
        internal = self.env["res.users"].browse(facts["people"]["internal"])
        of_internal = set(internal.ids)
        self.assertEqual(of_internal & set(facts["totp"]), set(internal.filtered("totp_enabled").ids))
        self.assertEqual(set(facts["roles"]["settings"]), {user.id for user in internal if user.has_group("base.group_system")})
        self.assertEqual(facts["roles"]["empty"], [])
        login, like, group = facts["exemptions"]
        self.assertEqual(login, self.user_1.ids)
        self.assertEqual(set(like), {self.user_1.id, self.account.id})
        self.assertIn(self.account.id, group)
        self.assertEqual(facts["modules"], ["auth_totp"])

    def test_rows_are_those_of_the_tables(self):
        facts = self.ask()
        keys = {row[0]: row for row in facts["keys"]}
        mine = self.env["res.users.apikeys"].search([("user_id", "=", self.account.id)], order="id desc", limit=1)
        self.assertEqual(keys[mine.id][:3], (mine.id, self.account.id, "rpc"))
        self.assertIn(self.user_1.id, [row[1] for row in facts["devices"]])

    def test_nothing_that_names_or_opens(self):
        secret = generate(self.user_1)
        told = json.dumps(self.ask())
        for text in (secret, secret[:8], self.key, self.key[:8], "mfa-user", "totp_secret"):
            self.assertNotIn(text, told)

    def test_parts_are_left_out(self):
        facts = self.ask(parts=[])
        for part in ("keys", "devices", "roles", "awake", "oauth", "saml", "use"):
            self.assertNotIn(part, facts)

    def test_others_are_refused(self):
        with self.assertRaises(AccessError):
            self.ask(self.user_1)
        with self.assertRaises(AccessError):
            self.ask(self.user("mfa-portal", "base.group_portal", "mfa_auditor.group_mfa_auditor"))
        with self.assertRaises(UserError):
            self.ask(format=1)
        self.assertNotIn("mfa_auditor_facts_2", self.env["res.users"].with_user(self.user_1).fields_get())
        self.assertIn("mfa_auditor_facts_2", self.env["res.users"].with_user(self.account).fields_get())

    def test_an_account_outside_a_company_learns_nothing(self):
        self.env["res.company"].create({"name": "MFA other"})
        self.account.company_ids = self.account.company_id
        facts = self.ask()
        self.assertLess(facts["companies"][0], facts["companies"][1])
        self.assertNotIn("people", facts)

    def test_new_companies_are_opened_to_the_polling_account(self):
        auditor = self.user("mfa-auditor", "base.group_user", "mfa_auditor.group_mfa_auditor")
        generate(auditor)
        first = self.env["res.company"].create({"name": "MFA first"})
        self.assertIn(first, self.account.company_ids)
        self.assertNotIn(first, auditor.company_ids, "in the group, and not the polling account")
        self.account.login = "mfa-renamed"
        second = self.env["res.company"].create({"name": "MFA second"})
        self.assertIn(second, self.account.company_ids, "by any login")
        self.account.company_ids -= first
        third = self.env["res.company"].create({"name": "MFA third"})
        self.assertNotIn(third, self.account.company_ids, "it was not in all of them before")

    def test_new_companies_need_neither_account_nor_group(self):
        self.account.write({self.groups_field: [(3, self.group.id)]})
        company = self.env["res.company"].create({"name": "MFA outside the group"})
        self.assertNotIn(company, self.account.company_ids)
        if "ir.access" not in self.env:
            self.env["ir.model.access"].search([("group_id", "=", self.group.id)]).unlink()
            self.env["ir.rule"].search([("groups", "in", self.group.ids)]).unlink()
        self.group.unlink()
        self.assertTrue(self.env["res.company"].create({"name": "MFA without group"}))
        self.env["ir.model.data"].search([("module", "=", "__mfa_auditor__")]).unlink()
        self.assertTrue(self.env["res.company"].create({"name": "MFA without account"}))
