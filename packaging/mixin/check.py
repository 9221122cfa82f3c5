#!/usr/bin/env python3
"""Evaluates mixin.libsonnet with the real jsonnet: it says what alerts/ and dashboards/ say, and promtool accepts the rules.

Needs jsonnet (scripts/test-tools installs it), promtool and PyYAML; `make rules` runs this with them.
"""
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import _jsonnet
import yaml

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
ALL = "{ rules: m.prometheusRules.groups, alerts: m.prometheusAlerts.groups, dashboards: m.grafanaDashboards }"


def evaluate(change=""):
    return json.loads(_jsonnet.evaluate_snippet("check", f"local m = (import '{HERE / 'mixin.libsonnet'}'){change}; {ALL}"))


def main():
    said, groups = evaluate(), yaml.safe_load((ROOT / "alerts/odoo-mfa.rules.yml").read_text())["groups"]
    problems = []
    for kind, key in (("rules", "record"), ("alerts", "alert")):
        expected = [{**group, "rules": rules} for group in groups if (rules := [rule for rule in group["rules"] if key in rule])]
        if said[kind] != expected:
            problems.append(f"{kind} are not those of alerts/")
    dashboards = {path.name: json.loads(path.read_text()) for path in (ROOT / "dashboards").glob("*.json")}
    if said["dashboards"] != dashboards:
        problems.append("the dashboards are not those of dashboards/")
    moved = evaluate(" + { _config+:: { runbookUrl: 'https://wiki.example/' } }")
    wrong = {rule["alert"] for group in moved["alerts"] for rule in group["rules"]
             if rule["annotations"]["runbook_url"] != f"https://wiki.example/{rule['alert']}.md"}
    problems += [f"_config.runbookUrl does not change {name}" for name in sorted(wrong)]
    for kind in ("rules", "alerts"):  # A mixin's user writes each into a file of its own.
        with tempfile.NamedTemporaryFile("w", suffix=".yml") as file:
            yaml.safe_dump({"groups": said[kind]}, file)
            file.flush()
            checked = subprocess.run(["promtool", "check", "rules", file.name], capture_output=True, text=True)
            problems += [checked.stdout + checked.stderr] if checked.returncode else []
    for problem in problems:
        print(problem, file=sys.stderr)
    if not problems:
        print(f"Mixin: {len(said['rules'])} groups of rules, {len(said['alerts'])} of alerts, {len(dashboards)} dashboards: OK")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
