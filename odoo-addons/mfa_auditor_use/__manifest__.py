{
    "name": "MFA auditor: use of API keys",
    "version": "2.0.1",
    "summary": "Last use of API keys and passwords over RPC; a poll in one call",
    "description": "Records the last use of API keys and of password-only logins over RPC, and answers polls in one call.",
    "author": "odoo-mfa-exporter",
    "category": "Hidden/Tools",
    "license": "Other OSI approved licence",
    "depends": ["mfa_auditor"],
    "data": ["security/grants.xml"],
}
