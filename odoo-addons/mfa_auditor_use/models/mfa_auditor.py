"""Everything that one poll of odoo-mfa-exporter must know, in one call.

The questions are those that the exporter otherwise asks one by one, asked as superuser and in one transaction. So both ways give the same
numbers, and the caller must be somebody who could have asked them.
"""

from odoo import api, models, release
from odoo.exceptions import AccessError, UserError

FORMAT = 1
PSEUDO_USERS = ("base.user_root", "base.default_user", "base.public_user", "base.template_portal_user_id")
INSTALLED = ("installed", "to upgrade", "to remove")


class MfaAuditor(models.AbstractModel):
    _name = "mfa.auditor"
    _description = "What odoo-mfa-exporter reads"

    @api.model
    @getattr(api, "readonly", lambda method: method)
    def read_facts(self, question):
        """Answers a poll. Of everybody it tells ids and counts; no name, no login, no key.

        The question:

        - `format`: 1;
        - `roles`: XML ids of groups by the name of a role; `exemptions`: a list of `{"login": x}`, `{"like": x}` or `{"group": x}`;
        - `recent_since`, `awake_since`: accounts made, and logins, after these dates;
        - `modules`: the modules of which to tell whether they are installed;
        - `parts`: which of `keys`, `devices`, `roles`, `logins` and `sso` to tell.

        Rows and dates are as `search_read` gives them, and lists of values in the place of objects.
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
            pseudo += [row["user_id"][0] for row in self.env["website"].search_read([], ["user_id"])]
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

        parts = question["parts"]
        facts = {
            "people": self._people(users, people, in_groups, members_of("base.group_public"), group_field),
            "portal_groups": {
                "portal": members_of("base.group_portal"),
                "internal": members_of("base.group_user"),
                "nobody": pseudo,
            },
            "totp": ids(("totp_enabled", "=", True)),
            "passkey": holders("auth_passkey_key_ids"),
            "recent": ids(("create_date", ">", question["recent_since"])),
            "exemptions": [matching(exemption) for exemption in question["exemptions"]],
            "modules": self.env["ir.module.module"]
            .search([("name", "in", question["modules"]), ("state", "in", INSTALLED)])
            .mapped("name"),
            "policy": self.env["ir.config_parameter"].get_param("auth_totp.policy") or None,
            "trusted_networks": self._trusted_networks(),
            "clear_text_keys": self._clear_text_keys(),
            "administrators_spared": self._administrators_spared(),
        }
        if "roles" in parts:
            facts["roles"] = {role: ids(in_groups(*groups)) for role, groups in question["roles"].items()}
        if "sso" in parts:
            facts.update(oauth=holders("oauth_uid"), saml=holders("saml_ids"))
        if "logins" in parts:
            since = question["awake_since"]
            lately = ids(("login_date", ">", since))
            facts["awake"] = sorted({*lately, *ids(("create_date", ">", since), ("log_ids", "=", False))})
        owners = set()
        for part, table in (("keys", "res_users_apikeys"), ("devices", "auth_totp_device")):
            if part in parts:
                facts[part] = self._rows(table, pseudo)
                owners.update(row[1] for row in facts[part])
        if "keys" in parts:
            facts["use"] = self._use(ids)
        facts["archived_owners"] = users.search([("id", "in", list(owners)), ("active", "=", False)], order="id").ids
        return facts

    def _people(self, users, people, in_groups, public, group_field):
        """Of internal people and of the few who are neither internal nor portal people the ids, of the rest the number."""

        def number(archived, *leaves):
            return users.search_count(people + [("active", "=", not archived)] + list(leaves))

        internal = in_groups("base.group_user")
        known = {*internal[2], *in_groups("base.group_portal")[2]}
        # `not in` is right on the field with the groups that somebody was put into, and wrong on 19's all_group_ids.
        rest = users.search_read(people + [(group_field, "not in", list(known))], ["active", group_field], order="id")
        of = {(active, is_public): [] for active in (True, False) for is_public in (True, False)}
        for row in rest:
            of[row["active"], not set(public).isdisjoint(row[group_field])].append(row["id"])
        internal_ids = users.search(people + [("active", "=", True), internal], order="id").ids
        internal_archived = number(True, internal)
        rest_archived = len(of[False, True]) + len(of[False, False])
        return {
            "internal": internal_ids,
            "public": of[True, True],
            "none": of[True, False],
            "portal": number(False) - len(internal_ids) - (len(rest) - rest_archived),
            "archived": [
                internal_archived,
                number(True) - internal_archived - rest_archived,
                len(of[False, True]),
                len(of[False, False]),
            ],
        }

    def _rows(self, table, pseudo):
        """API keys or trusted devices: id, owner, scope, made, expires.

        The columns that hold what opens something are not among those that are read.
        """
        expires = "expiration_date" if "expiration_date" in self.env["res.users.apikeys"]._fields else "NULL::timestamp"
        self.env.cr.execute(
            f"SELECT id, user_id, scope, create_date, {expires} FROM {table} WHERE user_id != ALL(%s) ORDER BY id", [pseudo]
        )
        return [
            (key, user, scope or False, self._date(created), self._date(expires))
            for key, user, scope, created, expires in self.env.cr.fetchall()
        ]

    def _date(self, date):
        return date.strftime("%Y-%m-%d %H:%M:%S") if date else False

    def _use(self, ids):
        """Since when uses are noted, and when each key, and each active person's bare password, was last used."""
        self.env.cr.execute("SELECT user_id, key_id, last_use FROM mfa_auditor_use ORDER BY id")
        rows = self.env.cr.fetchall()
        passwords = {user: when for user, key, when in rows if user is not None and key is None}
        return {
            "since": next(self._date(when) for user, _key, when in rows if user is None),
            "keys": [(key, self._date(when)) for _user, key, when in rows if key is not None],
            "passwords": [(user, self._date(passwords[user])) for user in ids(("id", "in", list(passwords)))],
        }

    def _trusted_networks(self):
        """How many rows of OCA's auth_totp_ip_check name people, and how many name nobody."""
        if "auth_totp.cidr" not in self.env:
            return None
        rows = self.env["auth_totp.cidr"].search_read([], ["user_ids"])
        everybody = sum(not row["user_ids"] for row in rows)
        return [len(rows) - everybody, everybody]

    def _clear_text_keys(self):
        """Whose keys OCA's auth_api_key keeps. What it keeps is not read."""
        if "auth.api.key" not in self.env:
            return None
        return [row["user_id"][0] for row in self.env["auth.api.key"].search_read([], ["user_id"], order="id")]

    def _administrators_spared(self):
        """Whether OCA's impersonate_login spares administrators, in its versions that can."""
        field = "restrict_impersonate_admin_settings"
        if field not in self.env["res.config.settings"]._fields:
            return None
        return bool(self.env["ir.config_parameter"].get_param(f"impersonate_login.{field}"))
