from odoo import api, models


class ResCompany(models.Model):
    _inherit = "res.company"

    @api.model_create_multi
    def create(self, vals_list):
        """An auditor who was allowed in all companies stays so: otherwise the people of a new one would be hidden."""
        before = self.sudo().search_count([])
        companies = super().create(vals_list)
        group = self.env.ref("mfa_auditor.group_mfa_auditor").sudo()
        for user in group["user_ids" if "user_ids" in group._fields else "users"]:
            if len(user.company_ids - companies) >= before:
                user.write({"company_ids": [(4, company.id) for company in companies]})
        return companies
