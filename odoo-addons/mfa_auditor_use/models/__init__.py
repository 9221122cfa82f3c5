from . import mfa_auditor, mfa_auditor_use, res_company, res_users
