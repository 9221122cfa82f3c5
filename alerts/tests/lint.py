#!/usr/bin/env python3
"""Checks what promtool cannot: that rules, tests, runbooks, dashboards and documentation agree with each other and with the metric catalog.

Usage: lint.py [METRICS.md]      (docs/metrics.md by default; the table that the exporter generates from its catalog)

It fails where an alert has no test that fires or none that stays silent, lacks an annotation or its runbook, differs from the table in
docs/monitoring.md, or where an expression of a rule or a panel names a family, a label or a label's value that the catalog lacks.
Needs PyYAML.
"""
import json
import re
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
RUNBOOKS = "https://github.com/odoo-mfa-exporter/odoo-mfa-exporter/blob/main/docs/runbooks/"
SEVERITIES = {"critical", "warning", "info", "none"}
SCRAPE_LABELS = {"job", "instance", "pod", "endpoint", "container"}
# External labels of environments, by which rules join and aggregate.
ENVIRONMENT = {"cluster", "datacenter", "env", "environment", "region", "stage", "tenant", "zone"}
# Families that Prometheus itself makes.
BUILTIN = {
    "up": {"labels": SCRAPE_LABELS, "values": {}},
    "scrape_duration_seconds": {"labels": SCRAPE_LABELS, "values": {}},
    "scrape_samples_scraped": {"labels": SCRAPE_LABELS, "values": {}},
    "ALERTS": {"labels": None, "values": {"alertstate": {"pending", "firing"}}},
}
# Always true, or true when nothing is there: no test with data can show it silent.
NEVER_SILENT = {"OdooMfaWatchdog"}
KEYWORDS = {
    "and", "or", "unless", "by", "without", "on", "ignoring", "group_left", "group_right", "offset", "bool", "inf", "nan",
    "sum", "min", "max", "avg", "count", "count_values", "topk", "bottomk", "quantile", "group", "stddev", "stdvar",
}


def main() -> int:
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs/metrics.md"
    catalog = read_catalog(path)
    rules = [r for f in sorted((ROOT / "alerts").glob("*.rules.yml")) for g in load(f)["groups"] for r in g["rules"]]
    alerts = [r for r in rules if "alert" in r]
    records = {r["record"] for r in rules if "record" in r}
    problems = []
    for rule in rules:
        name = rule.get("alert") or rule["record"]
        problems += [f"{name}: {p}" for p in check_expression(rule["expr"], catalog, records)]
    for alert in alerts:
        problems += [f"{alert['alert']}: {p}" for p in check_alert(alert, catalog, records)]
    problems += check_runbooks(alerts) + check_tests(alerts, rules) + check_table(alerts)
    for file in sorted((ROOT / "dashboards").glob("*.json")):
        for title, expr in dashboard_expressions(json.loads(file.read_text())):
            problems += [f"{file.name}: {title}: {p}" for p in check_expression(expr, catalog, records, dashboard=True)]
    for problem in problems:
        print(problem, file=sys.stderr)
    if not problems:
        print(f"{len(alerts)} alerts, {len(records)} recording rules: OK")
    return 1 if problems else 0


def load(path):
    return yaml.safe_load(path.read_text())


def read_catalog(path):
    """Family -> its labels, and the values of those whose set is closed, from `| family | type | labels | meaning |`."""
    families = {}
    for line in path.read_text().splitlines():
        cells = [c.strip() for c in re.split(r"(?<!\\)\|", line)[1:-1]]
        if len(cells) < 4 or not re.fullmatch(r"`[a-z_0-9]+`", cells[0]):
            continue
        labels, values = set(), {}
        for part in re.split(r",(?![^(]*\))", cells[2]):
            match = re.match(r"\s*`?([a-z_0-9]+)`?\s*(=.*)?", part)
            if match:
                labels.add(match[1])
                if match[2]:
                    values[match[1]] = set(re.findall(r"`([^`]+)`", match[2]))
        name = cells[0].strip("`")
        for suffix in ("_bucket", "_sum", "_count") if cells[1] == "histogram" else ("",):
            families[name + suffix] = {"labels": labels | ({"le"} if suffix == "_bucket" else set()), "values": values}
    if not families:
        sys.exit(f"{path}: no table of families")
    return families


def check_expression(expr, catalog, records, dashboard=False):
    """What an expression names and the catalog lacks. Reads words, not grammar: promtool has parsed it."""
    known = {**catalog, **BUILTIN}
    problems, used = [], []
    text = re.sub(r"#[^\n]*", "", expr) if not dashboard else expr
    for name, selector in selectors(text):
        if name in records:
            used.append(None)
            continue
        if name not in known:
            problems.append(f"no family {name} in the catalog")
            continue
        used.append(name)
        family = known[name]
        for label, op, value in re.findall(r'([a-z_]+)\s*(=~|!~|!=|=)\s*"((?:[^"\\]|\\.)*)"', selector):
            if family["labels"] is not None and label not in family["labels"] | SCRAPE_LABELS:
                problems.append(f"{name} has no label {label}")
            closed = family["values"].get(label)
            if closed and re.fullmatch(r"[\w|]+", value):
                problems += [f"{name} has no {label}={v!r}" for v in value.split("|") if v not in closed]
    labels = SCRAPE_LABELS | ENVIRONMENT
    for family in known.values():
        labels |= family["labels"] or set()
    bare = re.sub(r'"(?:[^"\\]|\\.)*"', '""', text)
    for listed in re.findall(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^()]*)\)", bare):
        for label in re.findall(r"\w+", listed):
            if label not in labels:
                problems.append(f"no family has a label {label}")
    return problems


def selectors(text):
    """(family, what stands in its braces) of each selector in the expression."""
    strings = []

    def hide(match):
        strings.append(match[0])
        return f'"{len(strings) - 1}"'

    bare = re.sub(r'"(?:[^"\\]|\\.)*"', hide, text)
    bare = re.sub(r"\b(by|without|on|ignoring|group_left|group_right)\s*\([^()]*\)", " ", bare)
    bare = re.sub(r"\[[^\]]*\]|\$\w+", " ", bare)
    for match in re.finditer(r"(?<![\w:.\"])([a-zA-Z_:][\w:]*)\s*(\{[^}]*\})?(\s*\()?", re.sub(r"\{[^}]*\}", lambda m: m[0].replace(" ", ""), bare)):
        name, braces, call = match.groups()
        if call or name.lower() in KEYWORDS or re.fullmatch(r"\d+[smhdwy]|[smhdwy]", name):
            continue
        yield name, re.sub(r'"(\d+)"', lambda m: strings[int(m[1])], braces or "")


def check_alert(alert, catalog, records):
    annotations = alert.get("annotations", {})
    for key in ("summary", "description", "runbook_url"):
        if not annotations.get(key):
            yield f"no {key}"
    if annotations.get("runbook_url") != f"{RUNBOOKS}{alert['alert']}.md":
        yield f"runbook_url is not {RUNBOOKS}{alert['alert']}.md"
    if alert.get("labels", {}).get("severity") not in SEVERITIES:
        yield f"severity is not one of {sorted(SEVERITIES)}"
    for key, value in alert.get("labels", {}).items():
        if "$value" in str(value):
            yield f"$value in the label {key}: each value would be another alert"
    labels = set(SCRAPE_LABELS).union(*(f["labels"] for f in catalog.values()))
    for text in annotations.values():
        for label in re.findall(r"\$labels\.(\w+)", text):
            if label not in labels:
                yield f"an annotation uses the label {label}, which no family has"
        for query in re.findall(r'query \(printf \\?"((?:[^"\\]|\\.)*)', text):
            yield from check_expression(query.replace("%q", '""'), catalog, records)


def check_runbooks(alerts):
    have = {p.stem for p in (ROOT / "docs/runbooks").glob("OdooMfa*.md")}
    want = {a["alert"] for a in alerts}
    return [f"docs/runbooks/{n}.md is missing" for n in sorted(want - have)] + [f"docs/runbooks/{n}.md is of no alert" for n in sorted(have - want)]


def families_of(expr, rules, through=frozenset()):
    """The families that an expression reads, also through what other rules record."""
    for name, _ in selectors(re.sub(r"#[^\n]*", "", expr)):
        yield name
        if name not in through:
            for rule in rules:
                if rule.get("record") == name:
                    yield from families_of(rule["expr"], rules, through | {name})


def check_tests(alerts, rules):
    """Each alert needs a test in which it fires and one, with data of a family that it reads, in which it does not."""
    fires, silent = set(), set()
    families = {a["alert"]: set(families_of(a["expr"], rules)) for a in alerts}
    for file in sorted((ROOT / "alerts/tests").glob("*.test.yml")):
        for test in load(file)["tests"]:
            given = {re.match(r"[\w:]+", s["series"])[0] for s in test.get("input_series", [])}
            for case in test.get("promql_expr_test", []):
                match = re.search(r'ALERTS\{alertname="(\w+)"', case["expr"])
                if match:
                    (fires if case["exp_samples"] else silent).add((match[1], frozenset(given)))
            for case in test.get("alert_rule_test", []):
                (fires if case.get("exp_alerts") else silent).add((case["alertname"], frozenset(given)))
    problems = []
    for name, read in families.items():
        if not any(n == name for n, _ in fires):
            problems.append(f"{name}: no test in which it fires")
        if name not in NEVER_SILENT and not any(n == name and read & given for n, given in silent):
            problems.append(f"{name}: no test with its own families in which it stays silent")
    return problems


def check_table(alerts):
    """docs/monitoring.md lists each alert with its `for` and severity: | `name` | fires when | for | severity |"""
    file = ROOT / "docs/monitoring.md"
    listed = {}
    for line in file.read_text().splitlines() if file.exists() else []:
        cells = [c.strip() for c in line.split("|")[1:-1]]
        if len(cells) == 4 and re.match(r"\[?`OdooMfa", cells[0]):
            listed[re.search(r"OdooMfa\w+", cells[0])[0]] = (cells[2], set(re.findall(r"\w+", cells[3])) & SEVERITIES)
    rules = {}
    for alert in alerts:
        wait, severities = rules.setdefault(alert["alert"], (str(alert.get("for", "0")), set()))
        severities.add(alert["labels"]["severity"])
    return [f"docs/monitoring.md: {n} is {listed.get(n)}, the rule {rules.get(n)}" for n in sorted(listed.keys() | rules.keys()) if listed.get(n) != rules.get(n)]


def dashboard_expressions(dashboard):
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            yield panel["title"], target["expr"]
        yield from dashboard_expressions(panel) if "panels" in panel else ()
    for annotation in dashboard.get("annotations", {}).get("list", []):
        if "expr" in annotation:
            yield annotation["name"], annotation["expr"]


if __name__ == "__main__":
    sys.exit(main())
