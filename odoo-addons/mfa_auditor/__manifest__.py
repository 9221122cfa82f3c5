{
    "name": "MFA auditor",
    "version": "2.0.0",
    "summary": "A read-only account that sees which users have a second factor",
    "description": "A group that reads all API keys and trusted devices, and a menu entry that creates the exporter's account and key.",
    "author": "odoo-mfa-exporter",
    "category": "Hidden/Tools",
    "license": "Other OSI approved licence",
    "depends": ["auth_totp"],
    "data": [
        "security/groups.xml",
        "security/grants.xml",
        "data/create_key.xml",
    ],
}
