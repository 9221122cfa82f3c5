{
    "name": "MFA auditor: use of API keys",
    "version": "2.0.0",
    "summary": "When each API key was last used, who uses a bare password over RPC, and all facts in one call",
    "description": "Records the last use of API keys and of bare passwords over RPC, and answers odoo-mfa-exporter in one call.",
    "author": "odoo-mfa-exporter",
    "category": "Hidden/Tools",
    "license": "Other OSI approved licence",
    "depends": ["mfa_auditor"],
    "data": ["security/grants.xml"],
}
