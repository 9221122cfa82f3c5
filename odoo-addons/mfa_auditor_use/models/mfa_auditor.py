"""Everything that one poll of odoo-mfa-exporter must know, in one call.

The questions are those that the exporter otherwise asks one by one: the same domains, asked as superuser. So both ways give the same
numbers, and the caller must be somebody who could have asked them.
"""

from odoo import api, models, release
from odoo.exceptions import AccessError, UserError

FORMAT = 1
PSEUDO_USERS = ("base.user_root", "base.default_user", "base.public_user", "base.template_portal_user_id")
SCOPE_OF_MODULES = ("installed", "to upgrade", "to remove")


class MfaAuditor(models.AbstractModel):
    _name = "mfa.auditor"
    _description = "What odoo-mfa-exporter reads"

    @api.model
    @getattr(api, "readonly", lambda method: method)
    def read_facts(self, question):
        """Answers a poll. Of everybody it tells ids and counts; no name, no login, no key.

        The question's parts are all optional but `format`:

        - `format`: 1;
        - `roles`: XML ids of groups by the name of a role; `exemptions`: a list of `{"login": x}`, `{"like": x}` or `{"group": x}`;
        - `recent_since`, `awake_since`: accounts made, and logins, after these dates;
        - `modules`: which modules' installation to tell;
        - `parts`: which of `keys`, `devices`, `roles`, `logins` and `sso` to tell.
        """
        user = self.env.user
        if not user.has_group("base.group_user") or not (
            user.has_group("mfa_auditor.group_mfa_auditor") or user.has_group("base.group_system")
        ):
            raise AccessError("mfa.auditor answers internal users in the group 'MFA auditor'")
        if question.get("format") != FORMAT:
            raise UserError(f"this version of the module mfa_auditor_use answers questions of format {FORMAT}")
        all_companies = self.env["res.company"].sudo().search_count([])
        facts = {
            "format": FORMAT,
            "version": release.version,
            "version_info": list(release.version_info),
            "uid": user.id,
            "companies": [len(user.company_ids), all_companies],
        }
        # People of other companies are hidden from such an account, and stay so.
        if len(user.company_ids) < all_companies:
            return facts
        return {**facts, **self.sudo()._facts(question)}

    def _facts(self, question):
        users = self.env["res.users"].with_context(active_test=False)
        pseudo = [user.id for user in (self.env.ref(xml_id, raise_if_not_found=False) for xml_id in PSEUDO_USERS) if user]
        if "website_id" in users._fields:
            pseudo += self.env["website"].search([]).user_id.ids
        people = [("id", "not in", pseudo)]
        active = people + [("active", "=", True)]
        # Up to 18 implied groups are written down as members; from 19 on only explicit ones are.
        implied = "all_group_ids" in users._fields
        group_field = "group_ids" if implied else "groups_id"

        def ids(*leaves):
            return users.search(active + list(leaves), order="id").ids

        def members_of(*xml_ids):
            found = [group for group in (self.env.ref(xml_id, raise_if_not_found=False) for xml_id in xml_ids) if group]
            groups = self.env["res.groups"].union(*(group for group in found if group._name == "res.groups"))
            return (groups | groups.all_implied_by_ids if implied else groups).ids

        def in_groups(*xml_ids):
            return (group_field, "in", members_of(*xml_ids))

        def holders(field):
            return ids((field, "!=", False)) if field in users._fields else []

        def matching(exemption):
            [(kind, value)] = exemption.items()
            if kind == "group":
                return ids(in_groups(value))
            return ids(("login", {"login": "=", "like": "=like"}[kind], value))

        parts = question.get("parts", [])
        facts = {
            "people": self._people(users, people, in_groups, members_of("base.group_public"), group_field),
            "totp": ids(("totp_enabled", "=", True)),
            "passkey": holders("auth_passkey_key_ids"),
            "recent": ids(("create_date", ">", question["recent_since"])),
            "exemptions": [matching(exemption) for exemption in question.get("exemptions", [])],
            "modules": self.env["ir.module.module"]
            .search([("name", "in", question.get("modules", [])), ("state", "in", SCOPE_OF_MODULES)])
            .mapped("name"),
            "policy": self.env["ir.config_parameter"].get_param("auth_totp.policy") or None,
            "trusted_networks": self._trusted_networks(),
        }
        if "roles" in parts:
            facts["roles"] = {role: ids(in_groups(*groups)) for role, groups in question.get("roles", {}).items()}
        if "sso" in parts:
            facts.update(oauth=holders("oauth_uid"), saml=holders("saml_ids"))
        if "logins" in parts:
            since = question["awake_since"]
            lately = ids(("login_date", ">", since))
            facts["awake"] = sorted({*lately, *ids(("create_date", ">", since), ("log_ids", "=", False))})
        if "keys" in parts:
            facts.update(keys=self._rows("res_users_apikeys", pseudo), use=self._use())
        if "devices" in parts:
            facts["devices"] = self._rows("auth_totp_device", pseudo)
        return facts

    def _people(self, users, people, in_groups, public, group_field):
        """Of internal people and of the few who are neither internal nor portal people the ids, of the rest the number."""

        def number(archived, *leaves):
            return users.search_count(people + [("active", "=", not archived)] + list(leaves))

        internal = in_groups("base.group_user")
        known = {*internal[2], *in_groups("base.group_portal")[2]}
        # `not in` is right on the field with the groups that somebody was put into, and wrong on 19's all_group_ids.
        rest = users.search(people + [(group_field, "not in", list(known))], order="id")
        is_public = rest.filtered(lambda user: user[group_field] & user[group_field].browse(public))
        rest_archived = rest.filtered(lambda user: not user.active)
        internal_ids = users.search(people + [("active", "=", True), internal], order="id").ids
        internal_archived = number(True, internal)
        return {
            "internal": internal_ids,
            "public": (is_public - rest_archived).ids,
            "none": (rest - is_public - rest_archived).ids,
            "portal": number(False) - len(internal_ids) - len(rest - rest_archived),
            "archived": [
                internal_archived,
                number(True) - internal_archived - len(rest_archived),
                len(rest_archived & is_public),
                len(rest_archived - is_public),
            ],
        }

    def _rows(self, table, pseudo):
        """API keys or trusted devices: id, owner, whether the owner is active, scope, made, expires, last used; times in seconds.

        The columns with what would open something are not among those that are read.
        """
        model = self.env["res.users.apikeys"]
        expires = "k.expiration_date" if "expiration_date" in model._fields else "NULL::timestamp"
        used = "(SELECT last_use FROM mfa_auditor_use WHERE key_id = k.id)" if table == model._table else "NULL::timestamp"
        self.env.cr.execute(
            f"""
            SELECT k.id, k.user_id, u.active, k.scope,
                   floor(extract(epoch FROM k.create_date))::bigint,
                   floor(extract(epoch FROM {expires}))::bigint,
                   floor(extract(epoch FROM {used}))::bigint
              FROM {table} k JOIN res_users u ON u.id = k.user_id
             WHERE k.user_id != ALL(%s)
             ORDER BY k.id
            """,
            [pseudo],
        )
        return self.env.cr.fetchall()

    def _use(self):
        """Since when uses are noted, and when the bare password of each active account was last used over RPC."""
        self.env.cr.execute("""
            SELECT user_id, floor(extract(epoch FROM last_use))::bigint FROM mfa_auditor_use p
             WHERE key_id IS NULL AND (user_id IS NULL OR EXISTS (SELECT FROM res_users u WHERE u.id = user_id AND u.active))
             ORDER BY user_id
        """)
        rows = self.env.cr.fetchall()
        return {
            "since": next(when for user, when in rows if user is None),
            "passwords": [row for row in rows if row[0] is not None],
        }

    def _trusted_networks(self):
        """How many rows of OCA's auth_totp_ip_check name people, and how many name nobody."""
        if "auth_totp.cidr" not in self.env:
            return None
        rows = self.env["auth_totp.cidr"].search([])
        everybody = len(rows.filtered(lambda row: not row.user_ids))
        return [len(rows) - everybody, everybody]
