from datetime import datetime, timedelta

from odoo.tests import TransactionCase


def generate(user, scope="rpc", model="res.users.apikeys"):
    """An API key of that user; for a day, if keys expire."""
    keys = user.env[model].with_user(user)
    arguments = [scope, "test"]
    if "expiration_date" in keys._fields:
        arguments.append(datetime.now() + timedelta(days=1))
    return keys._generate(*arguments)


def parameter(env, key, *value):
    """Sets a system parameter, or returns it. Odoo 20 renamed both methods."""
    parameters = env["ir.config_parameter"]
    kind = "str" if hasattr(parameters, "get_str") else "param"
    return getattr(parameters, f"{'set' if value else 'get'}_{kind}")(key, *value)


class AuditorCase(TransactionCase):
    """With the account that the action creates, and a user with a key and a trusted device."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.group = cls.env.ref("mfa_auditor.group_mfa_auditor")
        cls.action = cls.env.ref("mfa_auditor.action_create_key").with_user(cls.env.ref("base.user_admin"))
        cls.key = cls.action.run()["context"]["default_key"]
        cls.account = cls.env["res.users"].search([("login", "=", "mfa-exporter")])
        cls.groups_field = "group_ids" if "group_ids" in cls.account._fields else "groups_id"
        cls.user_1 = cls.user("mfa-user", "base.group_user")
        generate(cls.user_1)
        generate(cls.user_1, "browser", "auth_totp.device")

    @classmethod
    def user(cls, login, *groups):
        return cls.env["res.users"].create(
            {
                "name": login,
                "login": login,
                "company_id": cls.env.company.id,
                "company_ids": [(6, 0, cls.env["res.company"].search([]).ids)],
                cls.groups_field: [(6, 0, [cls.env.ref(group).id for group in groups])],
            }
        )
