{
    "name": "MFA auditor",
    "version": "2.0.0",
    "summary": "An account that sees who has a second factor, and can change nothing",
    "description": "A group with read access to all API keys and trusted devices, and the key of odoo-mfa-exporter's account in one click.",
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
