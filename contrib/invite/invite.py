#!/usr/bin/env python3
"""Invites unprotected users to enroll a second factor, with Odoo's own invitation (`auth_totp_mail`, Odoo 15 and later).

Reads the CSV that the exporter serves at /users.csv?target=NAME, compares it with Odoo, and prints which users it would invite.
With --send, Odoo sends each of them its invitation by e-mail. Nothing else is changed in Odoo.

It needs Python 3.7 and the API key of an administrator (group Settings): no other user can read whether Odoo sent an e-mail.

Exit codes: 0: all users were invited, or would be. 1: some were not, and why is printed. 2: nothing was sent, because something is
wrong with the options, the CSV, or the access to Odoo.
"""

import argparse
import csv
import datetime
import http.client
import io
import itertools
import json
import os
import ssl
import stat
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

COLUMNS = {"id", "login", "active", "protected", "exempt"}
READ_AT_ONCE = 200
TIME = "%Y-%m-%dT%H:%M:%S%z"
# What a proxy says in the place of Odoo.
UNANSWERED = {429, 502, 503, 504}
LOOPBACK = {"localhost", "127.0.0.1", "::1"}


class Refused(Exception):
    """Something that stops the program before it sends anything."""


class OdooError(Exception):
    """Odoo answered a call with an error."""


class NoAnswer(Exception):
    """A call without an answer of Odoo: the invitation may or may not have been sent."""


class NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect would carry the key to another server."""

    def redirect_request(self, *_):
        return None


class Odoo:
    """Calls models: over JSON-2 where the server has it (19 and later), otherwise over JSON-RPC."""

    def __init__(self, url, database, login, key, timeout):
        self.url, self.database, self.login, self._key, self.timeout = url.rstrip("/"), database, login, key, timeout
        handlers = NoRedirect(), urllib.request.HTTPSHandler(context=ssl.create_default_context())
        self.opener = urllib.request.build_opener(*handlers)
        self.json2 = self._request("/json/2/res.users/context_get", {}, {"X-Odoo-Database": database})[0] == 401
        self.uid = None
        if not self.json2:
            self.uid = self._jsonrpc("common", "authenticate", [database, login, key, {}])
            if not self.uid:
                raise OdooError(f"Odoo refuses the key of {login} in the database {database}")

    def call(self, model, method, ids=None, **arguments):
        """Returns what a method returns, called on `ids` if there are any."""
        if not self.json2:
            positional = [] if ids is None else [ids]
            return self._jsonrpc("object", "execute_kw", [self.database, self.uid, self._key, model, method, positional, arguments])
        if ids is not None:
            arguments["ids"] = ids
        headers = {"X-Odoo-Database": self.database, "Authorization": f"Bearer {self._key}"}
        status, answer = self._request(f"/json/2/{model}/{method}", arguments, headers)
        if status != 200:
            message = answer.get("message") if isinstance(answer, dict) else None
            raise OdooError(self._clean(message or f"HTTP {status}"))
        return answer

    def _jsonrpc(self, service, method, arguments):
        body = {"jsonrpc": "2.0", "method": "call", "params": {"service": service, "method": method, "args": arguments}}
        status, answer = self._request("/jsonrpc", body, {})
        if status != 200 or not isinstance(answer, dict):
            raise OdooError(f"HTTP {status} instead of an answer over JSON-RPC: is {self.url}/jsonrpc open for this host?")
        if "error" in answer:
            # `debug` is a traceback and stays unread.
            error = answer["error"]
            raise OdooError(self._clean(error.get("data", {}).get("message") or error.get("message") or "no reason given"))
        return answer.get("result")

    def _request(self, path, body, headers):
        request = urllib.request.Request(self.url + path, json.dumps(body).encode(), {"Content-Type": "application/json", **headers})
        try:
            with self.opener.open(request, timeout=self.timeout) as answer:
                status, text = answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                status, text = error.code, error.read()
        except (OSError, http.client.HTTPException) as error:
            raise NoAnswer(self._clean(f"no answer from {self.url}: {getattr(error, 'reason', error)}")) from None
        if status in UNANSWERED:
            raise NoAnswer(f"no answer from {self.url}: HTTP {status}")
        try:
            return status, json.loads(text)
        except ValueError:
            return status, None

    def _clean(self, text):
        return " ".join(str(text).replace(self._key, "***").split())


def read_key(path):
    """Returns the key, from a file that no other user of the system can read."""
    if stat.S_IMODE(os.stat(path).st_mode) & 0o007:
        raise Refused(f"{path} is open to every user of this system: chmod 600 {path}")
    with open(path, encoding="utf-8") as file:
        key = file.read().strip()
    if not key or len(key.split()) > 1 or not key.isascii():
        raise Refused(f"{path} must hold one API key and nothing else")
    return key


def read_people(file):
    """Returns id and login of each active, eligible and unprotected user of the CSV, and the number of its other rows."""
    text = file.read()
    if not text.endswith("\n"):
        raise Refused("the CSV was cut short: download it again")
    rows = csv.DictReader(io.StringIO(text, newline=""))
    missing = COLUMNS - set(rows.fieldnames or [])
    if missing:
        raise Refused(f"the CSV lacks the columns {', '.join(sorted(missing))}: it must be users.csv of the exporter")
    people, others = {}, 0
    for row in rows:
        if (row["active"], row["protected"], row["exempt"]) == ("true", "false", ""):
            # The exporter puts an apostrophe before a login that a spreadsheet would take for a formula.
            login = row["login"]
            try:
                people[int(row["id"])] = login[1:] if login[:2] in {"'=", "'+", "'-", "'@"} else login
            except ValueError:
                raise Refused(f"the CSV has an id that is no number: {row['id']}") from None
        else:
            others += 1
    return people, others


def chunks(items, size):
    items = iter(items)
    return iter(lambda: list(itertools.islice(items, size)), [])


def compare(odoo, people):
    """Returns the users to invite, and for each other user why not: (kind, login, reason), of the kind `skip` or `error`."""
    found = {}
    for ids in chunks(people, READ_AT_ONCE):
        rows = odoo.call(
            "res.users",
            "search_read",
            domain=[["id", "in", ids]],
            fields=["login", "email", "active", "totp_enabled"],
            context={"active_test": False},
        )
        found.update((row["id"], row) for row in rows)
    renamed = [(login, found[uid]["login"]) for uid, login in people.items() if uid in found and found[uid]["login"] != login]
    if renamed:
        raise Refused(
            f"{len(renamed)} users of the CSV have another login in Odoo, such as {renamed[0][0]}, who is {renamed[0][1]} there: "
            "the CSV is of another database, or old. Download it again"
        )
    invite, rest = {}, []
    for uid, login in people.items():
        user = found.get(uid)
        if user is None:
            rest.append(("error", login, f"was deleted, or is hidden from {odoo.login}"))
        elif not user["active"]:
            rest.append(("skip", login, "is archived"))
        elif user["totp_enabled"]:
            rest.append(("skip", login, "has enrolled since"))
        elif not user["email"]:
            rest.append(("error", login, "has no e-mail address"))
        else:
            invite[uid] = f"{login} <{user['email']}>" if user["email"] != login else login
    return invite, rest


class Journal:
    """Remembers in a file when users were invited, so that a second run does not invite them again at once."""

    def __init__(self, path, database):
        self.path, self.database, self.last = path, database, {}
        if path and os.path.exists(path):
            with open(path, newline="", encoding="utf-8") as file:
                try:
                    for at, of, uid in csv.reader(file):
                        if of == database:
                            self.last[int(uid)] = datetime.datetime.strptime(at, TIME)
                except ValueError:
                    raise Refused(f"{path} is no journal of this program: name another file") from None

    def invited_within(self, uid, days):
        return uid in self.last and now() - self.last[uid] < datetime.timedelta(days=days)

    def add(self, uid):
        if self.path:
            with open(self.path, "a", newline="", encoding="utf-8") as file:
                csv.writer(file).writerow([now().strftime(TIME), self.database, uid])


def now():
    return datetime.datetime.now(datetime.timezone.utc)


def newest_mail(odoo):
    """Returns the id of the newest e-mail that Odoo keeps. Only an administrator may read it."""
    mails = odoo.call("mail.mail", "search_read", domain=[], fields=["id"], order="id desc", limit=1)
    return mails[0]["id"] if mails else 0


def invite(odoo, uid):
    """Has Odoo send one invitation. Raises OdooError with the reason if Odoo could not send it.

    One user a call: an error in the middle of a call for many would leave open who got an e-mail. Odoo reports no error if the mail
    server refuses an e-mail. It keeps that e-mail with the reason; what it sent it deletes.
    """
    newest = newest_mail(odoo)
    odoo.call("res.users", "action_totp_invite", ids=[uid])
    kept = odoo.call(
        "mail.mail",
        "search_read",
        domain=[
            ["id", ">", newest],
            ["model", "=", "res.users"],
            ["res_id", "=", uid],
            ["state", "in", ["outgoing", "exception"]],
        ],
        fields=["failure_reason"],
    )
    if kept:
        reason = next((mail["failure_reason"] for mail in kept if mail["failure_reason"]), "see Settings > Technical > Emails")
        raise OdooError(f"Odoo could not send the e-mail: {' '.join(str(reason).split())}")


def send(odoo, users, journal, batch, pause):
    """Invites users, batch by batch. Returns how many invitations failed."""
    failed = done = 0
    for number, part in enumerate(chunks(users.items(), batch)):
        if number:
            time.sleep(pause)
        for uid, name in part:
            try:
                invite(odoo, uid)
            except NoAnswer as error:
                print(f"error   {name}: {error}")
                print(f"stopped: {name} may have been invited, {len(users) - done - 1} after it were not", file=sys.stderr)
                return failed + len(users) - done
            except OdooError as error:
                failed += 1
                print(f"error   {name}: {error}")
            else:
                journal.add(uid)
                print(f"invited {name}")
            done += 1
            sys.stdout.flush()
    return failed


def prepare(options):
    """Returns what is needed to send: Odoo, the users to invite, the journal, and how many users of the CSV have an error."""
    parts = urllib.parse.urlsplit(options.url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise Refused("--url must be a URL such as https://erp.example.com")
    if parts.scheme == "http" and parts.hostname not in LOOPBACK and not options.allow_plain_http:
        raise Refused("the key would cross the network in clear: use https, or --allow-plain-http")
    key = read_key(options.api_key_file)
    with sys.stdin if options.csv == "-" else open(options.csv, newline="", encoding="utf-8") as file:
        people, others = read_people(file)
    odoo = Odoo(options.url, options.database, options.login, key, options.timeout)
    if not odoo.call(
        "ir.module.module", "search_read", domain=[["name", "=", "auth_totp_mail"], ["state", "=", "installed"]], fields=["id"]
    ):
        raise Refused("the module auth_totp_mail is not installed in Odoo (15 and later have it)")
    newest_mail(odoo)
    users, rest = compare(odoo, people)
    journal = Journal(options.journal, options.database)
    for uid in [uid for uid in users if journal.invited_within(uid, options.again_after)]:
        rest.append(("skip", users.pop(uid), f"was invited within {options.again_after} days"))
    for kind, name, reason in rest:
        print(f"{kind:7} {name}: {reason}")
    if others:
        print(f"{others} rows of the CSV are protected, exempt, archived or unknown: not invited", file=sys.stderr)
    return odoo, users, journal, sum(kind == "error" for kind, _, _ in rest)


def run(options):
    odoo, users, journal, failed = prepare(options)
    if not options.send:
        for name in users.values():
            print(f"would invite {name}")
        print(f"{len(users)} users to invite, {failed} with errors. Nothing was sent: add --send to send", file=sys.stderr)
        return int(failed > 0)
    unsent = send(odoo, users, journal, options.batch, options.pause)
    print(f"{len(users) - unsent} users invited, {failed + unsent} with errors", file=sys.stderr)
    return int(failed + unsent > 0)


def arguments():
    def positive(text):
        if int(text) < 1:
            raise ValueError
        return int(text)

    head, _, rest = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(description=head, epilog=rest, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("csv", help="users.csv of the exporter; - for standard input")
    parser.add_argument("--url", required=True, help="Odoo's address, such as https://erp.example.com")
    parser.add_argument("--database", required=True)
    parser.add_argument("--login", required=True, help="login of the administrator whose key it is")
    parser.add_argument("--api-key-file", required=True, metavar="FILE", help="file with the administrator's API key, mode 600")
    parser.add_argument("--send", action="store_true", help="send the invitations; without it nothing is sent")
    parser.add_argument("--batch", type=positive, default=50, metavar="N", help="invitations between two pauses (default: 50)")
    parser.add_argument("--pause", type=float, default=60, metavar="SECONDS", help="length of a pause, for the mail server (default: 60)")
    parser.add_argument("--journal", metavar="FILE", help="file that remembers who was invited when, for the next run")
    parser.add_argument("--again-after", type=positive, default=7, metavar="DAYS", help="days until the next reminder (default: 7)")
    parser.add_argument("--timeout", type=positive, default=60, metavar="SECONDS", help="time for each call (default: 60)")
    parser.add_argument("--allow-plain-http", action="store_true", help="send the key unencrypted")
    return parser


def main():
    options = arguments().parse_args()
    try:
        return run(options)
    except (Refused, OdooError, NoAnswer, OSError) as error:
        print(f"invite: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
