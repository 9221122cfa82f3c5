#!/usr/bin/env python3
"""Measures the heartbeats that a real Alertmanager, started with alerts/alertmanager.yml on loopback, makes of two engines' watchdogs.

Both engines send their watchdog as they do: again and again, with an end ahead. Then one of them stops. The dead man's switch must get
one heartbeat a minute for each engine, and none of the dead one once its lease is over. It takes eight minutes. Only Python's standard library.
"""
import http.server
import json
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from datetime import datetime, timedelta, timezone
from pathlib import Path

CONFIG = Path(__file__).resolve().parents[1] / "alertmanager.yml"
BOTH, ALONE, LEASE = 3 * 60, 5 * 60, 2 * 60
ENGINES = ("", "odoo-mfa-exporter")
beats = []


class Switch(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        for alert in message["alerts"]:
            beats.append((time.monotonic(), alert["labels"].get("origin", "")))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


def port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def main() -> int:
    binary = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager") or sys.exit("no alertmanager in PATH")
    switch = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Switch)
    threading.Thread(target=switch.serve_forever, daemon=True).start()
    own = port()
    with tempfile.TemporaryDirectory() as data:
        config = Path(data) / "alertmanager.yml"
        config.write_text(CONFIG.read_text().replace("http://127.0.0.1:9099/watchdog", f"http://127.0.0.1:{switch.server_port}/"))
        process = subprocess.Popen(
            [binary, f"--config.file={config}", f"--storage.path={data}", f"--web.listen-address=127.0.0.1:{own}", "--cluster.listen-address="], stderr=subprocess.DEVNULL
        )
        try:
            return measure(f"http://127.0.0.1:{own}/api/v2/alerts")
        finally:
            process.terminate()
            process.wait()


def measure(url):
    begun = time.monotonic()
    while (now := time.monotonic() - begun) < BOTH + ALONE:
        for engine in ENGINES[: 1 if now >= BOTH else 2]:
            send(url, engine)
        time.sleep(15)
    problems = []
    for engine in ENGINES:
        times = [at - begun for at, origin in beats if origin == engine]
        pauses = [round(b - a) for a, b in zip(times, times[1:])]
        print(f"{engine or 'prometheus'}: {len(times)} heartbeats, {pauses} seconds apart, the last one after {round(times[-1]) if times else '-'} s")
        if not times or max(pauses, default=99) > 75:
            problems.append(f"{engine or 'prometheus'} is not heard each minute")
    if any(at - begun > BOTH + LEASE + 60 for at, origin in beats if origin == ENGINES[1]):
        problems.append("the dead engine is still heard")
    if not any(at - begun > BOTH + ALONE - 90 for at, origin in beats if origin == ENGINES[0]):
        problems.append("the living engine is no longer heard")
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


def send(url, engine):
    now = datetime.now(timezone.utc)
    labels = {"alertname": "OdooMfaWatchdog", "severity": "none", **({"origin": engine} if engine else {})}
    alert = {"labels": labels, "startsAt": "2020-01-01T00:00:00Z", "endsAt": (now + timedelta(seconds=LEASE)).isoformat()}
    try:
        urllib.request.urlopen(urllib.request.Request(url, json.dumps([alert]).encode(), {"Content-Type": "application/json"}), timeout=5).close()
    except OSError:
        pass  # not up yet


if __name__ == "__main__":
    sys.exit(main())
