#!/usr/bin/env python3
"""Asks a real Alertmanager, started with alerts/alertmanager.yml on loopback, which alerts mute which. Only Python's standard library."""
import json
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

CONFIG = Path(__file__).resolve().parents[1] / "alertmanager.yml"
JOB = {"job": "odoo-mfa-exporter"}
DAEMON = {"origin": "odoo-mfa-exporter"}


def alert(name, severity="warning", **labels):
    return {"alertname": f"OdooMfa{name}", "severity": severity, **labels}


# Labels of every alert that is sent, and whether another one mutes it.
ALERTS = [
    # Both engines on one target: the daemon's own is heard. An alert that only Prometheus has, is heard too.
    (alert("AdminWithoutMfa", "critical", target="twins", **DAEMON), False),
    (alert("AdminWithoutMfa", "critical", target="twins", **JOB), True),
    (alert("AdminWithoutMfa", "critical", target="prometheus-only", **JOB), False),
    (alert("Watchdog", "none", **DAEMON), False),
    (alert("Watchdog", "none"), False),
    # The daemon's ticket does not mute the page of the same name.
    (alert("PollerKeyExpiring", target="key-twins", **DAEMON), True),
    (alert("PollerKeyExpiring", "critical", target="key-twins", **JOB), False),
    # A page mutes the ticket, a ticket alone is heard.
    (alert("PollerKeyExpiring", target="two-days", **JOB), True),
    (alert("PollerKeyExpiring", "critical", target="two-days", **JOB), False),
    (alert("PollerKeyExpiring", target="fortnight", **JOB), False),
    # A target that is down.
    (alert("TargetDown", target="down", **JOB), False),
    (alert("TargetStale", target="down", job="another"), True),
    (alert("CapabilityMissing", target="down", capability="api_keys", **JOB), True),
    (alert("CapabilityMissing", target="limited", capability="api_keys", **JOB), False),
    (alert("TargetUnstable", target="down", **JOB), True),
    (alert("TargetUnstable", target="unstable", **JOB), False),
    (alert("TargetStale", target="down", env="staging", **JOB), False),
    (alert("AdminWithoutMfa", "critical", target="down", **JOB), False),
    # Most targets are down: one page instead of a ticket for each target, of this engine and environment only.
    (alert("FleetBlind", "critical", job="fleet", env="prod"), False),
    (alert("TargetDown", target="one", job="fleet", env="prod", team="finance"), True),
    (alert("TargetStale", target="two", job="fleet", env="prod"), True),
    (alert("TargetUnstable", target="three", job="fleet", env="prod"), True),
    (alert("AdminWithoutMfa", "critical", target="four", job="fleet", env="prod"), False),
    (alert("TargetDown", target="five", job="fleet", env="staging"), False),
    (alert("TargetDown", target="six", job="other-fleet", env="prod"), False),
    (alert("TargetDown", target="seven", env="prod", **DAEMON), False),
    (alert("FleetBlind", "critical", env="test", **DAEMON), False),
    (alert("TargetDown", target="eight", env="test", **DAEMON), True),
    # An exporter that is down: only what it would have polled.
    (alert("ExporterDown", "critical", instance="a", **JOB), False),
    (alert("TargetVanished", target="gone", **JOB), True),
    (alert("TargetStale", target="stale", **JOB), True),
    (alert("TargetStale", target="elsewhere", job="another"), False),
    # One of several shards, and one of two instances of a shard, mute nothing.
    (alert("ExporterDown", "critical", instance="b", shard="0", job="shards"), False),
    (alert("TargetVanished", target="of-shard-1", job="shards"), False),
    (alert("ExporterDown", instance="c", job="replicas"), False),
    (alert("TargetStale", target="replicated", job="replicas"), False),
]


def main() -> int:
    binary = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager") or sys.exit("no alertmanager in PATH")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as data:
        process = subprocess.Popen(
            [binary, f"--config.file={CONFIG}", f"--storage.path={data}", f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address="],
            stderr=subprocess.DEVNULL,
        )
        try:
            return check(f"http://127.0.0.1:{port}/api/v2/alerts")
        finally:
            process.terminate()
            process.wait()


def check(url):
    body = json.dumps([{"labels": labels, "startsAt": "2020-01-01T00:00:00Z"} for labels, _ in ALERTS]).encode()
    post = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    want = {key(labels): muted for labels, muted in ALERTS}
    deadline = time.monotonic() + 20
    sent, got = False, None
    while time.monotonic() < deadline:
        try:
            if not sent:
                urllib.request.urlopen(post, timeout=5).close()
                sent = True
            with urllib.request.urlopen(url, timeout=5) as reply:
                got = {key(a["labels"]): bool(a["status"]["inhibitedBy"]) for a in json.load(reply)}
        except OSError:
            pass  # not up yet
        if got == want:
            print(f"{len(want)} alerts: {sum(want.values())} muted, as they should be")
            return 0
        time.sleep(0.1)
    for labels, muted in ALERTS:
        if (got or {}).get(key(labels)) != muted:
            print(f"{labels}: muted should be {muted}", file=sys.stderr)
    return 1


def key(labels):
    return tuple(sorted(labels.items()))


if __name__ == "__main__":
    sys.exit(main())
