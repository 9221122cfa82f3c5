{
    "name": "MFA auditor: passkeys",
    "version": "2.0.0",
    "summary": "The MFA auditor sees which users have passkeys",
    "description": "Grants the group of the module MFA auditor read access to all passkeys. Installs itself when passkeys are installed.",
    "author": "odoo-mfa-exporter",
    "category": "Hidden/Tools",
    "license": "Other OSI approved licence",
    "depends": ["mfa_auditor", "auth_passkey"],
    "auto_install": ["mfa_auditor", "auth_passkey"],
    "data": ["security/grants.xml"],
}
