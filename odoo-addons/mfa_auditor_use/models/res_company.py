from odoo import api, models


class ResCompany(models.Model):
    _inherit = "res.company"

    @api.model_create_multi
    def create(self, vals_list):
        """Allows the polling account in new companies if it was allowed in all others: otherwise Odoo would hide their users from it.

        The polling account is the one that 'Create the exporter's key' made and marked. Other members of the group are left alone.
        """
        companies = super().create(vals_list)
        account = self.sudo().env.ref("__mfa_auditor__.account", raise_if_not_found=False)
        active = self.sudo().with_context(active_test=True).search([])
        if account and account.has_group("mfa_auditor.group_mfa_auditor") and active <= companies | account.company_ids:
            account.write({"company_ids": [(4, company.id) for company in companies]})
        return companies
