#!/usr/bin/env python3
"""Tests invite.py as a user runs it, over both APIs of a fake Odoo: refusals, errors, and that the key stays secret."""

import json
import os
import subprocess
import sys
import tempfile
import threading
import unittest
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

INVITE = Path(__file__).with_name("invite.py")
KEY = "0123456789abcdef0123456789abcdef01234567"
HEADER = "id,name,login,user_type,active,protected,exempt,totp,passkey,sso,in_grace,dormant,roles,api_keys,created,last_login,url"
COUNTED = "accounting,0,2026-01-01T00:00:00Z,,https://erp.example.com/odoo/users/1"


def row(uid, login, active="true", protected="false", exempt=""):
    return f'{uid},"Name, of {uid}",{login},internal,{active},{protected},{exempt},false,false,false,false,false,{COUNTED}'


class FakeOdoo(BaseHTTPRequestHandler):
    """Answers what invite.py asks. The state is on the server, see `Odoo`."""

    def log_message(self, *_):
        pass

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        state = self.server.state
        if self.path == "/jsonrpc":
            params = body["params"]
            if params["method"] == "authenticate":
                return self.answer(200, {"result": 2 if params["args"][2] == state.key else False})
            _, _, key, model, method, positional, arguments = params["args"]
            ids = positional[0] if positional else None
            try:
                return self.answer(200, {"result": state.call(key, model, method, ids, arguments)})
            except ValueError as error:
                data = {"name": "odoo.exceptions.UserError", "message": str(error), "debug": f"Traceback with {key}"}
                return self.answer(200, {"error": {"message": "Odoo Server Error", "data": data}})
        if not state.json2 or not self.path.startswith("/json/2/"):
            return self.answer(404, None)
        if "Authorization" not in self.headers:
            return self.answer(401, {"name": "werkzeug.exceptions.Unauthorized", "message": "Invalid apikey"})
        model, method = self.path.split("/")[3:]
        key = self.headers["Authorization"].split()[1]
        if key != state.key or self.headers["X-Odoo-Database"] != "prod":
            return self.answer(401, {"name": "werkzeug.exceptions.Unauthorized", "message": f"Invalid apikey {key}"})
        try:
            return self.answer(200, state.call(key, model, method, body.pop("ids", None), body))
        except ValueError as error:
            return self.answer(500, {"name": "odoo.exceptions.UserError", "message": str(error), "debug": f"Traceback with {key}"})

    def answer(self, status, body):
        body, status = (None, 504) if body in (504, {"result": 504}) else (body, status)
        if body in ("close", {"result": "close"}):
            self.close_connection = True
            return
        text = b"<html>404</html>" if body is None else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


class Odoo:
    """The state of a fake Odoo, and a server for it."""

    def __init__(self, json2):
        self.json2, self.key, self.modules, self.mails, self.invited = json2, KEY, ["auth_totp_mail"], [], []
        self.users, self.administrator = {}, True
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), FakeOdoo)
        self.server.state = self
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def add(self, uid, login, email="", active=True, totp=False, then=None):
        self.users[uid] = {"id": uid, "login": login, "email": email or login, "active": active, "totp_enabled": totp, "then": then}

    def call(self, key, model, method, ids, arguments):
        if key != self.key:
            raise ValueError("Access Denied")
        if (model, method) == ("ir.module.module", "search_read"):
            return [{"id": 1}] if arguments["domain"][0][2] in self.modules else []
        if (model, method) == ("res.users", "search_read"):
            assert arguments["context"] == {"active_test": False}
            wanted = arguments["domain"][0][2]
            return [{k: u[k] for k in ["id", *arguments["fields"]]} for u in self.users.values() if u["id"] in wanted]
        if (model, method) == ("mail.mail", "search_read"):
            if not self.administrator:
                raise ValueError("You are not allowed to access 'Outgoing Mails'")
            mails = self.mails
            if arguments["domain"]:
                (_, _, newest), _, (_, _, uid), _ = arguments["domain"]
                mails = [m for m in mails if m["id"] > newest and m["res_id"] == uid]
            return sorted(mails, key=lambda m: -m["id"])[: arguments.get("limit")]
        assert (model, method) == ("res.users", "action_totp_invite"), (model, method)
        (uid,) = ids
        then = self.users[uid]["then"]
        if then == "raise":
            raise ValueError(f"no template for {key}")
        if then in ("close", 504):
            return then
        if then:
            self.mails.append({"id": len(self.mails) + 1, "res_id": uid, "failure_reason": then})
        self.invited.append(uid)
        return {"type": "ir.actions.client"}


class Invite(unittest.TestCase):
    json2 = True

    def setUp(self):
        self.odoo = Odoo(self.json2)
        self.addCleanup(self.odoo.close)
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.key_file = self.folder / "key"
        self.key_file.write_text(KEY + "\n")
        self.key_file.chmod(0o600)

    def run_invite(self, rows, *options, text=None, url=None):
        """Returns exit code and output. Fails if the key is in the output."""
        csv = self.folder / "people.csv"
        csv.write_bytes((text if text is not None else "\r\n".join([HEADER, *rows, ""])).encode())
        command = [sys.executable, INVITE, csv, "--url", url or self.odoo.url, "--database", "prod", "--login", "admin"]
        command += ["--api-key-file", self.key_file, "--pause", "0", "--timeout", "10", *options]
        environment = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment)
        output = done.stdout + done.stderr
        self.assertNotIn(KEY, output)
        self.assertNotIn("Traceback", output)
        return done.returncode, output

    def test_sends_nothing_without_send(self):
        self.odoo.add(5, "ann@example.com")
        code, output = self.run_invite([row(5, "ann@example.com")])
        self.assertEqual((code, self.odoo.invited), (0, []))
        self.assertIn("would invite ann@example.com", output)
        self.assertIn("Nothing was sent", output)

    def test_invites_only_unprotected_eligible_active_users(self):
        for uid in range(5, 10):
            self.odoo.add(uid, f"u{uid}@example.com")
        rows = [
            row(5, "u5@example.com"),
            row(6, "u6@example.com", active="false"),
            row(7, "u7@example.com", protected="true"),
            row(8, "u8@example.com", exempt="kiosk"),
            row(9, "u9@example.com", protected=""),
        ]
        code, output = self.run_invite(rows, "--send")
        self.assertEqual((code, self.odoo.invited), (0, [5]), output)
        self.assertIn("4 rows of the CSV are protected, exempt, archived or unknown", output)

    def test_believes_odoo_rather_than_the_csv(self):
        self.odoo.add(5, "ann@example.com", totp=True)
        self.odoo.add(6, "bob@example.com", active=False)
        self.odoo.add(7, "kiosk", email=" ")
        self.odoo.users[7]["email"] = False
        rows = [row(5, "ann@example.com"), row(6, "bob@example.com"), row(7, "kiosk"), row(8, "gone@example.com")]
        code, output = self.run_invite(rows, "--send")
        self.assertEqual((code, self.odoo.invited), (1, []))
        for line in ("skip    ann@example.com: has enrolled", "skip    bob@example.com: is archived"):
            self.assertIn(line, output)
        for line in ("error   kiosk: has no e-mail address", "error   gone@example.com: was deleted, or is hidden from admin"):
            self.assertIn(line, output)

    def test_goes_on_after_the_error_of_a_user(self):
        self.odoo.add(5, "ann@example.com", then="raise")
        self.odoo.add(6, "bob@example.com", then="550 no\nsuch user")
        self.odoo.add(7, "eve@example.com")
        rows = [row(5, "ann@example.com"), row(6, "bob@example.com"), row(7, "eve@example.com")]
        code, output = self.run_invite(rows, "--send", "--batch", "1")
        self.assertEqual(code, 1)
        self.assertIn("error   ann@example.com: no template for ***", output)
        self.assertIn("error   bob@example.com: Odoo could not send the e-mail: 550 no such user", output)
        self.assertIn("invited eve@example.com", output)
        self.assertIn("1 users invited, 2 with errors", output)

    def test_stops_when_odoo_does_not_answer(self):
        for then in ("close", 504):
            self.odoo.add(5, "ann@example.com", then=then)
            self.odoo.add(6, "bob@example.com")
            code, output = self.run_invite([row(5, "ann@example.com"), row(6, "bob@example.com")], "--send")
            self.assertEqual((code, self.odoo.invited), (1, []))
            self.assertIn("ann@example.com may have been invited, 1 after it were not", output)
            self.assertIn("0 users invited, 2 with errors", output)

    def test_refuses_a_csv_of_another_database(self):
        self.odoo.add(5, "ann@example.com")
        self.odoo.add(6, "bea@example.com")
        code, output = self.run_invite([row(5, "ann@example.com"), row(6, "bob@example.com")], "--send")
        self.assertEqual((code, self.odoo.invited), (2, []))
        self.assertIn("bob@example.com, who is bea@example.com there", output)

    def test_knows_the_exporter_s_guard_against_formulas(self):
        self.odoo.add(5, "+49301234", email="ann@example.com")
        self.odoo.add(6, "'quoted", email="bob@example.com")
        code, output = self.run_invite([row(5, "'+49301234"), row(6, "'quoted")], "--send")
        self.assertEqual((code, self.odoo.invited), (0, [5, 6]), output)

    def test_remembers_in_the_journal_whom_it_invited(self):
        self.odoo.add(5, "ann@example.com")
        self.odoo.add(6, "bob@example.com", then="550 no such user")
        rows, journal = [row(5, "ann@example.com"), row(6, "bob@example.com")], self.folder / "journal"
        self.run_invite(rows, "--send", "--journal", journal)
        self.odoo.users[6]["then"] = None
        code, output = self.run_invite(rows, "--send", "--journal", journal)
        self.assertEqual((code, self.odoo.invited), (0, [5, 6, 6]))
        self.assertIn("skip    ann@example.com: was invited within 7 days", output)
        journal.write_text(journal.read_text().replace("20", "19"))
        self.run_invite(rows, "--send", "--journal", journal)
        self.assertEqual(self.odoo.invited, [5, 6, 6, 5, 6])

    def test_refuses_before_it_sends(self):
        self.odoo.add(5, "ann@example.com")
        rows = [row(5, "ann@example.com")]
        whole = "\r\n".join([HEADER, *rows, ""])
        for text, why in ((whole[:-5], "cut short"), ("id,login\r\n5,x\r\n", "lacks the columns"), (whole.replace("5,", "x,", 1), "id")):
            code, output = self.run_invite(rows, "--send", text=text)
            self.assertEqual(code, 2, output)
            self.assertIn(why, output)
        code, output = self.run_invite(rows, "--send", url="http://erp.example.com")
        self.assertEqual(code, 2)
        self.assertIn("in clear", output)
        self.odoo.administrator = False
        code, output = self.run_invite(rows, "--send")
        self.assertEqual(code, 2)
        self.assertIn("not allowed to access 'Outgoing Mails'", output)
        self.odoo.modules = []
        code, output = self.run_invite(rows, "--send")
        self.assertEqual(code, 2)
        self.assertIn("auth_totp_mail is not installed", output)
        self.odoo.key = "another"
        code, output = self.run_invite(rows, "--send")
        self.assertEqual(code, 2, output)
        self.key_file.chmod(0o604)
        code, output = self.run_invite(rows, "--send")
        self.assertEqual(code, 2)
        self.assertIn("chmod 600", output)
        self.assertEqual(self.odoo.invited, [])


class InviteOverJsonRpc(Invite):
    json2 = False


if __name__ == "__main__":
    unittest.main()
