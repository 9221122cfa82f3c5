"""All facts that one poll of odoo-mfa-exporter needs, in one call.

The questions are those that the exporter otherwise asks one by one, asked as superuser and in one transaction. So both ways give the same
numbers, and the module answers only users who may ask them.
"""

from odoo import api, models, release
from odoo.exceptions import AccessError, UserError

FORMAT = 2
# The accounts that stand for no user. Odoo keeps all of them archived, and not every version has each.
WELL_KNOWN = ("base.user_root", "base.default_user", "base.template_portal_user_id")
PUBLIC_USER = "base.public_user"
USER_TYPES = ("base.group_user", "base.group_portal", "base.group_public")
INSTALLED = ("installed", "to upgrade", "to remove")


class MfaAuditor(models.AbstractModel):
    _name = "mfa.auditor"
    _description = "What odoo-mfa-exporter reads"

    @api.model
    @getattr(api, "readonly", lambda method: method)
    def read_facts(self, question):
        """Returns the facts of a poll: ids and counts of users, and rows of keys and devices. No name, no login, no key.

        The question:

        - `format`: 2;
        - `roles`: XML ids of groups by the name of a role; `exemptions`: a list of `{"login": x}`, `{"like": x}` or `{"group": x}`;
        - `recent_since`, `awake_since`: users created, and logins, after these dates;
        - `modules`: the modules to report as installed or not;
        - `parts`: which of `keys`, `devices`, `roles`, `logins` and `sso` to include.

        Rows and dates are as `search_read` gives them, and lists of values in place of objects. If the account is not allowed in all
        active companies, the answer ends with `companies`.
        """
        user = self.env.user
        if not user.has_group("base.group_user") or not (
            user.has_group("mfa_auditor.group_mfa_auditor") or user.has_group("base.group_system")
        ):
            raise AccessError("mfa.auditor answers internal users in the group 'MFA auditor'")
        if question.get("format") != FORMAT:
            raise UserError(f"this version of the module mfa_auditor_use answers questions of format {FORMAT}")
        companies = self.env["res.company"].sudo().with_context(active_test=True).search([])
        allowed = companies & user.sudo().with_context(active_test=False).company_ids
        facts = {
            "format": FORMAT,
            "version": release.version,
            "version_info": list(release.version_info),
            "uid": user.id,
            "companies": [len(allowed), len(companies)],
        }
        if allowed != companies:
            return facts
        return {**facts, **self.sudo()._facts(question)}

    def _facts(self, question):
        users = self.env["res.users"].with_context(active_test=False)
        self._prove_complete(users)
        # Up to 18 implied groups are stored as memberships; from 19 on only explicit ones are.
        implied = "all_group_ids" in users._fields
        group_field = "group_ids" if implied else "groups_id"

        asked = {xml_id for groups in question["roles"].values() for xml_id in groups}
        asked.update(exemption["group"] for exemption in question["exemptions"] if "group" in exemption)
        groups_by_name = self._find("res.groups", {*asked, *USER_TYPES})

        def members_of(*xml_ids):
            groups = self.env["res.groups"].browse({groups_by_name[xml_id] for xml_id in xml_ids if xml_id in groups_by_name})
            return sorted((groups | groups.all_implied_by_ids if implied else groups).ids)

        def in_groups(*xml_ids):
            return (group_field, "in", members_of(*xml_ids))

        nobody, well_known_active = self._nobody(users, in_groups("base.group_user", "base.group_portal"))
        people = [("id", "not in", nobody)]
        active = people + [("active", "=", True)]

        def ids(*leaves):
            return users.search(active + list(leaves), order="id").ids

        def holders(field, domain):
            return users.search(domain + [(field, "!=", False)], order="id").ids if field in users._fields else []

        def matching(exemption):
            [(kind, value)] = exemption.items()
            if kind == "group":
                return ids(in_groups(value))
            return ids(("login", {"login": "=", "like": "=like"}[kind], value))

        parts = question["parts"]
        archived = people + [("active", "=", False)]
        facts = {
            "people": self._people(users, people, in_groups, members_of("base.group_public"), group_field),
            "portal_groups": {
                "portal": members_of("base.group_portal"),
                "internal": members_of("base.group_user"),
                "nobody": nobody,
            },
            "well_known_active": well_known_active,
            "totp": self._with_totp(users, nobody, True),
            "passkey": holders("auth_passkey_key_ids", active),
            "archived_holders": sorted({*self._with_totp(users, nobody, False), *holders("auth_passkey_key_ids", archived)}),
            "recent": ids(("create_date", ">", question["recent_since"])),
            "exemptions": [matching(exemption) for exemption in question["exemptions"]],
            "missing_groups": self._mistaken(asked.difference(groups_by_name)),
            "modules": self._installed(question["modules"]),
            "policy": self._policy(),
            "trusted_networks": self._trusted_networks(),
            "clear_text_keys": self._clear_text_keys(),
            "administrators_spared": self._administrators_spared(),
        }
        if "roles" in parts:
            facts["roles"] = {role: ids(in_groups(*groups)) for role, groups in question["roles"].items()}
            of_roles = in_groups(*(xml_id for groups in question["roles"].values() for xml_id in groups))
            facts["well_known_privileged"] = users.search([("id", "in", well_known_active), of_roles], order="id").ids
        if "sso" in parts:
            linked = [("oauth_uid", "!=", ""), ("oauth_provider_id.enabled", "=", True)] if "oauth_uid" in users._fields else []
            facts.update(oauth=holders("oauth_uid", active + linked), saml=holders("saml_ids", active))
        if "logins" in parts:
            since = question["awake_since"]
            lately = ids(("login_date", ">", since))
            facts["awake"] = sorted({*lately, *ids(("create_date", ">", since), ("log_ids", "=", False))})
        owners = set()
        for part, table in (("keys", "res_users_apikeys"), ("devices", "auth_totp_device")):
            if part in parts:
                facts[part] = self._rows(table, nobody)
                owners.update(row[1] for row in facts[part])
        if "keys" in parts:
            facts["use"] = self._use(ids)
        facts["archived_owners"] = users.search([("id", "in", list(owners)), ("active", "=", False)], order="id").ids
        return facts

    def _prove_complete(self, users):
        """Raises if the superuser does not find every row of the table: then a module filters searches, and no number is right."""
        self.env.cr.execute("SELECT count(*) FROM res_users")
        [rows] = self.env.cr.fetchone()
        found = users.search_count([])
        if found != rows:
            raise AccessError(f"a module of this Odoo hides users even from the superuser: {found} of {rows} are found")

    def _find(self, model, xml_ids):
        """Returns the ids of the model's records, archived ones included, by those of the XML ids that they have.

        Not by `env.ref`: it can remember a record that the XML id named before.
        """
        names = [xml_id.partition(".") for xml_id in xml_ids]
        domain = [("model", "=", model), ("module", "in", [name[0] for name in names]), ("name", "in", [name[2] for name in names])]
        rows = self.env["ir.model.data"].search_read(domain, ["module", "name", "res_id"])
        existing = set(self.env[model].browse([row["res_id"] for row in rows]).exists().ids)
        found = {f"{row['module']}.{row['name']}": row["res_id"] for row in rows if row["res_id"] in existing}
        return {xml_id: found[xml_id] for xml_id in xml_ids if xml_id in found}

    def _nobody(self, users, may_enter):
        """Returns the ids of the accounts that stand for no user, and of those that should, but can act as one.

        The well-known accounts stand for no user while they are archived; the public user and the account of a website's visitors also must
        not be internal or portal users (`may_enter`), since each visitor has their rights.
        """
        well_known = set(self._find("res.users", WELL_KNOWN).values())
        visitors = set(self._find("res.users", [PUBLIC_USER]).values())
        if "website" in self.env:
            visitors.update(self.env["website"].search([]).mapped("user_id").ids)
        acting = set(users.search([("id", "in", list(well_known | visitors)), ("active", "=", True)]).ids)
        acting.update(users.search([("id", "in", list(visitors)), may_enter]).ids)
        return sorted((well_known | visitors) - acting), sorted(acting)

    def _with_totp(self, users, nobody, active):
        """Returns the ids of the users who have TOTP. An empty secret is no factor.

        Odoo computes `totp_enabled` with a statement for each user. So the column is asked, unless a module changes the computation. Odoo's
        search is never asked: it finds empty secrets, and may not find what a module counts.
        """
        enabled, secret = users._fields["totp_enabled"], users._fields["totp_secret"]
        methods = ("_compute_totp_enabled", "_compute_totp_secret")
        definitions = [name for base in type(users).__mro__ for name in vars(base) if name in methods]
        if (enabled.compute, secret.compute) == methods and len(definitions) == len(methods):
            self.env.cr.execute(
                "SELECT id FROM res_users WHERE totp_secret <> '' AND COALESCE(active, false) = %s AND id != ALL(%s) ORDER BY id",
                [active, nobody],
            )
            return [row[0] for row in self.env.cr.fetchall()]
        return users.search([("id", "not in", nobody), ("active", "=", active)], order="id").filtered("totp_enabled").ids

    def _mistaken(self, missing):
        """Returns those of the missing XML ids whose module is installed: a typing error, or a deleted group."""
        installed = self._installed({xml_id.partition(".")[0] for xml_id in missing})
        return sorted(xml_id for xml_id in missing if xml_id.partition(".")[0] in installed)

    def _installed(self, names):
        modules = self.env["ir.module.module"].search([("name", "in", list(names)), ("state", "in", INSTALLED)])
        return modules.mapped("name")

    def _policy(self):
        """Returns the e-mail code policy in force. The parameter survives its module, the setting does not."""
        if "auth_totp_policy" not in self.env["res.config.settings"]._fields:
            return None
        return self._parameter("auth_totp.policy") or None

    def _parameter(self, key):
        """Returns a system parameter. Odoo 20 has `get_str` in place of `get_param`."""
        parameters = self.env["ir.config_parameter"]
        return getattr(parameters, "get_str" if hasattr(parameters, "get_str") else "get_param")(key)

    def _people(self, users, people, in_groups, public, group_field):
        """Of internal people and of the few who are neither internal nor portal people the ids, of the rest the number."""

        def number(archived, *leaves):
            return users.search_count(people + [("active", "=", not archived)] + list(leaves))

        internal = in_groups("base.group_user")
        known = {*internal[2], *in_groups("base.group_portal")[2]}
        # `not in` is correct on the field of explicit groups, and wrong on 19's all_group_ids.
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

    def _rows(self, table, nobody):
        """Returns API keys or trusted devices: id, owner, scope, created, expires. No column with a secret is read.

        A key without a scope has `False`, which up to 19 opens everything; an empty scope is a scope, and opens nothing.
        """
        expires = "expiration_date" if "expiration_date" in self.env["res.users.apikeys"]._fields else "NULL::timestamp"
        self.env.cr.execute(
            f"SELECT id, user_id, scope, create_date, {expires} FROM {table} WHERE user_id != ALL(%s) ORDER BY id", [nobody]
        )
        return [
            (key, user, False if scope is None else scope, self._date(created), self._date(expires))
            for key, user, scope, created, expires in self.env.cr.fetchall()
        ]

    def _date(self, date):
        return str(date)[:19] if date else False

    def _use(self, ids):
        """Start of the recording, and the last use of each API key and of each active user's password alone."""
        self.env.cr.execute("SELECT user_id, key_id, last_use FROM mfa_auditor_use ORDER BY id")
        rows = self.env.cr.fetchall()
        passwords = {user: when for user, key, when in rows if user is not None and key is None}
        return {
            "since": next(self._date(when) for user, _key, when in rows if user is None),
            "keys": [(key, self._date(when)) for _user, key, when in rows if key is not None],
            "passwords": [(user, self._date(passwords[user])) for user in ids(("id", "in", list(passwords)))],
        }

    def _trusted_networks(self):
        """Numbers of rows of OCA's auth_totp_ip_check with and without users."""
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
        return self._parameter(f"impersonate_login.{field}") not in (False, "", "False")
