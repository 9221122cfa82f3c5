"""The last use of each API key, and of each password alone over RPC.

Recording a use must neither fail nor delay the request that it is about. So it happens in a cursor of its own that waits for no lock, at
most once an hour for each key and process, by one thread of a database at a time. A use that could not be written is kept and written with
a later one.
"""

import logging
import os
import re
import threading
import time
from datetime import datetime, timezone
from hashlib import blake2b

from odoo import fields, models

_logger = logging.getLogger(__name__)

# Seconds between two writes of the same use by one process; the table's own guard holds all processes to an hour.
INTERVAL = 3600
# Seconds without a try after one that failed.
PAUSE = 60
# How many uses one process remembers at most: some MB. Beyond that it forgets when they are due, which costs a write that changes nothing.
REMEMBERED = 20_000

# What Odoo itself makes, and how many characters of it stand in the table's index.
_KEY = re.compile(r"[0-9a-f]{40}")
_INDEX_SIZE = 8

_salt = os.urandom(16)
# One lock a database: while one is slow, the uses of the others are written.
_locks = {}
# Whether it is a key and when to write it again, by database and a digest of account and secret.
_seen = {}
# When it was used, by what identifies it; by database.
_pending = {}
# When to try again, by database.
_paused = {}

_WRITE_KEY = """
INSERT INTO mfa_auditor_use AS u (user_id, key_id, last_use)
SELECT user_id, id, %(when)s FROM res_users_apikeys
 WHERE user_id = %(uid)s AND index = %(index)s AND (scope IS NULL OR scope = %(scope)s)
"""
_WRITE_PASSWORD = """
INSERT INTO mfa_auditor_use AS u (user_id, key_id, last_use)
SELECT id, NULL, %(when)s FROM res_users WHERE id = %(uid)s
"""
_AT_MOST_HOURLY = """
ON CONFLICT (user_id, COALESCE(key_id, 0)) DO UPDATE SET last_use = EXCLUDED.last_use
 WHERE u.last_use < EXCLUDED.last_use - interval '1 hour'
"""


class MfaAuditorUse(models.Model):
    _name = "mfa.auditor.use"
    _description = "Last use of an API key, or of a password alone over RPC"
    # The table refers to API keys, whose table the ORM does not manage either.
    _auto = False
    _log_access = False
    _order = "id"

    user_id = fields.Many2one("res.users", "Who used it", readonly=True)
    key_id = fields.Many2one("res.users.apikeys", "API key", readonly=True, help="Empty: the account's password alone")
    last_use = fields.Datetime("Last use", readonly=True, help="To the hour")

    def init(self):
        """The row without a user says since when uses are noted."""
        self.env.cr.execute("""
            CREATE TABLE IF NOT EXISTS mfa_auditor_use (
                id serial PRIMARY KEY,
                user_id integer REFERENCES res_users(id) ON DELETE CASCADE,
                key_id integer REFERENCES res_users_apikeys(id) ON DELETE CASCADE,
                last_use timestamp without time zone NOT NULL
            );
            CREATE UNIQUE INDEX IF NOT EXISTS mfa_auditor_use_unique ON mfa_auditor_use (user_id, COALESCE(key_id, 0));
            CREATE INDEX IF NOT EXISTS mfa_auditor_use_key ON mfa_auditor_use (key_id);
            INSERT INTO mfa_auditor_use (last_use)
            SELECT now() AT TIME ZONE 'utc' WHERE NOT EXISTS (SELECT FROM mfa_auditor_use WHERE user_id IS NULL)
        """)


def note(registry, uid, secret, scope="rpc", is_key=None):
    """Notes that an account was let in by a key or by its password. `is_key`: whether that is known, and which of them it was.

    Never raises.
    """
    try:
        _note(registry, uid, secret, scope, is_key)
    except Exception as error:  # noqa: BLE001 (no error may fail the request)
        _paused[registry.db_name] = time.monotonic() + PAUSE
        # Neither the message nor the traceback: both may hold the statement's parameters.
        _logger.warning("the use of an API key could not be written (%s); tried again in %s s", type(error).__name__, PAUSE)


def _note(registry, uid, secret, scope, is_key):
    database = registry.db_name
    now = time.monotonic()
    identity = database, blake2b(f"{uid} {scope} {secret}".encode(), key=_salt, digest_size=16).digest()
    was_key, due = _seen.get(identity, (None, 0))
    pending = _pending.setdefault(database, {})
    if now >= due:
        if is_key is None:
            is_key = _KEY.fullmatch(secret) is not None if was_key is None else was_key
        if len(_seen) >= REMEMBERED:
            _seen.clear()
        _seen[identity] = is_key, now + INTERVAL
        # Of a password nothing is remembered but whose it is.
        use = (uid, secret[:_INDEX_SIZE], scope) if is_key else (uid, None, None)
        if len(pending) < REMEMBERED:
            pending[use] = datetime.now(timezone.utc).replace(tzinfo=None)
    # A thread that finds the lock taken leaves its use to the thread that writes, which checks again when it is done.
    lock = _locks.setdefault(database, threading.Lock())
    while pending and now >= _paused.get(database, 0) and lock.acquire(blocking=False):
        try:
            _write(registry, pending)
        finally:
            lock.release()


def _write(registry, pending):
    uses = list(pending.items())
    with registry.cursor() as cr:
        # Does not wait for locks.
        cr.execute("SET LOCAL lock_timeout = '5ms'; SET LOCAL statement_timeout = '100ms'", log_exceptions=False)
        for (uid, index, scope), when in uses:
            statement = (_WRITE_KEY if index else _WRITE_PASSWORD) + _AT_MOST_HOURLY
            parameters = {"uid": uid, "index": index, "scope": scope, "when": when}
            cr.execute(statement, parameters, log_exceptions=False)
        # In Odoo's tests this cursor is part of a longer transaction.
        cr.execute("SET LOCAL lock_timeout TO DEFAULT; SET LOCAL statement_timeout TO DEFAULT")
    for use, when in uses:
        if pending.get(use) == when:
            del pending[use]
