#!/usr/bin/env python3
"""Runs odoo-mfa-log.mtail in the real mtail on logs/*.log and compares what it counts with the .metrics file beside each log.

check.py           fails where a number differs, or where a log counts differently as syslog, a journal or a container runtime writes it
check.py --write   rewrites the .metrics files

The logs of Odoo 14 to 19 come from real servers (names and addresses replaced); those of 20 follow its source. forged.log is
what real servers of 14
and 19 wrote for hostile logins, and prefixes.log has lines that must count, or not, for the sake of their beginning.
Needs mtail: scripts/test-tools installs it.
"""

import json
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
PROGRAM = HERE.parent / "odoo-mfa-log.mtail"


def docker_json(line):
    return (
        json.dumps({"log": line + "\n", "stream": "stderr", "time": "2026-11-29T14:55:35.316000001Z"})
        .replace("<", "\\u003c")
        .replace(">", "\\u003e")
    )


def syslog(line):
    """As Odoo writes it with `syslog = True`, through rsyslog: no date of its own, no end for timings, control characters as octal."""
    found = re.fullmatch(r"[\d-]+ [\d:,]+ \d+ ([A-Z]+) (.+?) ([\w.]+): (.*)", line)
    if not found:
        return f"Nov 29 14:55:35 odoo1 {line}"
    level, database, logger, message = found.groups()
    escaped = "".join(f"#{ord(c):03o}" if ord(c) < 32 and c != "\t" else c for c in message.removesuffix(" "))
    return f"Nov 29 14:55:35 odoo1 Odoo Server 14.0:{database}:{level}:{logger}:{escaped}"


def terminal(line):
    parts = line.split(" ", 4)
    if len(parts) == 5 and parts[3].isupper():
        parts[3] = f"\x1b[1;32m\x1b[1;49m{parts[3]}\x1b[0m"
    return " ".join(parts)


# How others hand the same lines on.
FORMS = {
    "rsyslog's file of a service": lambda line: f"Nov 29 14:55:35 odoo1 odoo[17540]: {line}",
    "rsyslog's file with ISO dates": lambda line: f"2026-11-29T14:55:35.316000+00:00 odoo1 odoo-bin[17540]: {line}",
    "docker compose logs": lambda line: f"odoo-1  | {line}",
    "docker logs --timestamps": lambda line: f"2026-11-29T14:55:35.316000001Z {line}",
    "Docker's JSON file": docker_json,
    "CRI": lambda line: f"2026-11-29T14:55:35.316000001Z stderr F {line}",
    "kubectl logs --prefix": lambda line: f"[pod/odoo-0/odoo] {line}",
    "a terminal": terminal,
    "a terminal in a container": lambda line: docker_json(terminal(line)),
    "syslog": syslog,
}


def counted(log):
    """What mtail counts in a text, sorted, without the labels and comments that mtail adds."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "odoo.log"
        path.write_text(log, newline="\n")
        said = subprocess.run(
            [
                "mtail",
                "--one_shot",
                "--one_shot_format=prometheus",
                f"--progs={PROGRAM}",
                f"--logs={path}",
                "--address=127.0.0.1",
                "--port=0",
                "--logtostderr",
            ],
            capture_output=True,
            text=True,
            check=False,
        )
    errors = [line for line in said.stderr.splitlines() if line.startswith("E") or "untime error" in line]
    if said.returncode or errors:
        sys.exit(f"mtail: {said.returncode}: {chr(10).join(errors) or said.stderr}")
    lines = [line.replace(f'prog="{PROGRAM.name}",', "").replace(f',prog="{PROGRAM.name}"', "") for line in said.stdout.splitlines()]
    return "".join(f"{line}\n" for line in sorted(lines) if line and not line.startswith("#"))


def main():
    logs = {path: path.read_text() for path in sorted((HERE / "logs").glob("*.log"))}
    with ThreadPoolExecutor(4) as pool:
        numbers = dict(zip(logs, pool.map(counted, logs.values())))
        if sys.argv[1:] == ["--write"]:
            for path, text in numbers.items():
                path.with_suffix(".metrics").write_text(text)
            return 0
        problems = []
        for path, text in numbers.items():
            expected = path.with_suffix(".metrics").read_text().splitlines()
            problems += [f"{path.name}: counted, not expected: {line}" for line in text.splitlines() if line not in expected]
            problems += [f"{path.name}: expected, not counted: {line}" for line in expected if line not in text.splitlines()]
        pairs = [(path, form) for path in logs if path.stem.startswith("odoo") for form in FORMS]
        forms = pool.map(lambda pair: counted("".join(FORMS[pair[1]](line) + "\n" for line in logs[pair[0]].splitlines())), pairs)
        problems += [
            f"{path.name} counts differently by way of {form}" for (path, form), text in zip(pairs, forms) if text != numbers[path]
        ]
    for problem in problems:
        print(problem, file=sys.stderr)
    if not problems:
        print(f"odoo-mfa-log.mtail: {len(logs)} logs, {len(FORMS)} forms: counts are right")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
