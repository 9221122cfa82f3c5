"""A simulated fleet and the exporter that polls it, for scripts/prove-*."""
import collections
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import yaml
from machine import Failed, check, eventually, scrape

ROOT = Path(__file__).resolve().parents[1]
NAME = "odoo-mfa-exporter"
SAMPLE = re.compile(r"(\w+)(?:\{(.*)\})? (\S+)")
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


def program(path):
    """The program that is proven. Without a path, builds target/release."""
    if path:
        return Path(path).resolve()
    subprocess.run(["cargo", "build", "--release", "--locked"], cwd=ROOT, check=True)
    return ROOT / f"target/release/{NAME}"


def samples(text, family, **wanted):
    """The labels and values of a family's samples that have these labels."""
    for line in text.splitlines():
        if line.startswith(family):
            name, labels, value = SAMPLE.match(line).groups()
            labels = dict(LABEL.findall(labels or ""))
            if name == family and wanted.items() <= labels.items():
                yield labels, float(value)


def total(text, family, **wanted):
    """The sum of a family's samples that have these labels."""
    return sum(value for _, value in samples(text, family, **wanted))


class Simulated:
    """Simulated databases, and the ledger of what changed in them."""

    def __init__(self, program, directory, targets, *options):
        written = directory / "simulated.yml"
        self.process = subprocess.Popen(
            [program, "simulate", f"--targets={targets}", f"--configuration={written}", f"--key-file={directory}/key", "--ledger", *options],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        # Complete when the ledger answers.
        self.ledger = collections.Counter()
        self.change(0)
        self.targets = yaml.safe_load(written.read_text())["targets"]

    def change(self, count):
        """Makes changes of second factors. Returns by how much more users have TOTP."""
        self.process.stdin.write(f"{count}\n")
        self.process.stdin.flush()
        more = 0
        while line := self.process.stdout.readline().strip():
            target, _, transition = line.split()
            self.ledger[target, transition] += 1
            more += 1 if transition == "enrolled" else -1
        if self.process.poll() is not None:
            raise Failed(f"the simulated servers ended with {self.process.returncode}")
        return more

    def close(self):
        self.process.kill()
        self.process.wait()


class Exporter:
    """The exporter on port 9893, with a store that outlives it."""

    def __init__(self, program, directory, store, *options, limits=()):
        self.directory, self.log_file = directory, directory / "log"
        self.log_file.touch()
        self.command = [*limits, program, f"--config.file={directory}/config.yml", f"--storage.path={store}", *options]
        self.process = None

    def configure(self, targets, **rest):
        (self.directory / "config.yml").write_text(yaml.safe_dump({"targets": targets, **rest}))

    def start(self):
        self.process = subprocess.Popen(self.command, stderr=self.log_file.open("ab"))

    def kill(self):
        if self.process:
            self.process.kill()
            self.process.wait()

    def stop(self, within):
        """Ends it with SIGTERM, and checks that it ends."""
        started = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        code = None
        try:
            code = self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.kill()
        took = time.monotonic() - started
        check(f"SIGTERM ends it after {took:.1f} s", code == 0 and took < within, self.log())

    def log(self):
        return self.log_file.read_text()


def counted(text):
    """The transitions of internal users that the counters have, by target and transition."""
    family = samples(text, "odoo_mfa_transitions_total", user_type="internal")
    return collections.Counter({(labels["target"], labels["transition"]): int(value) for labels, value in family if value})


def differences(text, ledger):
    """Where counters and ledger differ."""
    found = counted(text)
    return {key: (found[key], ledger[key]) for key in found.keys() | ledger.keys() if found[key] != ledger[key]}


def agree(claim, ledger, within=120):
    """Checks that the counters become the ledger."""
    eventually(claim, lambda: not differences(scrape(), ledger), within)


def fails(message):
    sys.exit(f"{Path(sys.argv[0]).name}: {message}")
