"""Hooks where Odoo accepts an API key or a password alone."""

from odoo import api, fields, models
from odoo.addons.base.models import res_users as base

from .mfa_auditor_use import note


class ResUsers(models.Model):
    _inherit = "res.users"

    mfa_auditor_facts_2 = fields.Boolean(
        "Answers read_facts of format 2",
        compute="_compute_mfa_auditor_facts",
        groups="mfa_auditor.group_mfa_auditor,base.group_system",
        help="By this field an account that may call read_facts of mfa.auditor knows that it is there.",
    )

    def _compute_mfa_auditor_facts(self):
        self.mfa_auditor_facts_2 = True

    def _check_credentials(self, credential, env):
        """Up to 17 the credential is the password itself; it may be an API key if the request is not interactive."""
        result = super()._check_credentials(credential, env)
        if not (env or {}).get("interactive", True):
            note(self.pool, self.env.uid, credential["password"] if isinstance(credential, dict) else credential)
        return result

    # /jsonrpc and /xmlrpc keep who was let in, and then do not check again.
    if hasattr(getattr(base, "ResUsers", None) or base.Users, "_check_uid_passwd"):

        @api.model
        def _check_uid_passwd(self, uid, passwd):
            super()._check_uid_passwd(uid, passwd)
            note(self.pool, uid, passwd)

    else:

        @classmethod
        def check(cls, db, uid, passwd):
            super().check(db, uid, passwd)
            note(cls.pool, uid, passwd)


class ResUsersApikeys(models.Model):
    _inherit = "res.users.apikeys"

    def _check_credentials(self, *, scope, key):
        """Trusted devices inherit this, and are no keys."""
        uid = super()._check_credentials(scope=scope, key=key)
        if uid and self._name == "res.users.apikeys":
            note(self.pool, uid, key, scope, is_key=True)
        return uid
