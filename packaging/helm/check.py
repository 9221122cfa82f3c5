#!/usr/bin/env python3
"""Renders the Helm chart with Helm's own library and checks it: lint, the schema of its values, each document against Kubernetes' schemas and Prometheus
operator's, that references find what they name, and that it says what the plain manifests say.

check.py                 checks
check.py --package DIR   writes the chart's archive into DIR

Needs helm-python-sdk and what packaging/kubernetes/check.py needs: scripts/test-tools installs them, and `make rules` runs this with them.
"""
import copy
import importlib.util
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

import helm_python as helm
import yaml

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
CHART = HERE / "odoo-mfa-exporter"
NAME = "odoo-mfa-exporter"
EVERYTHING = {"serviceMonitor": {"enabled": True}, "prometheusRule": {"enabled": True}, "dashboards": {"enabled": True}}
# Labels that only Helm needs.
OWN_LABELS = ("app.kubernetes.io/instance", "app.kubernetes.io/version", "app.kubernetes.io/managed-by", "helm.sh/chart")


def plain_manifests():
    spec = importlib.util.spec_from_file_location("plain", ROOT / "packaging/kubernetes/check.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


PLAIN = plain_manifests()
# All values set, each to something else than its default.
OTHER_VALUES = {
    "image": {"repository": "registry.example/exporter", "digest": "sha256:" + "0" * 64, "pullPolicy": "Always"},
    "imagePullSecrets": [{"name": "pull"}],
    "fullnameOverride": "mfa",
    "shards": 4,
    "config": {"defaults": {"interval": "10m"}, "targets": [{"name": "a", "url": "https://a.example", "database": "a", "login": "x", "api_key_file": "/k"}]},
    "existingConfigMap": "own-config",
    "existingSecret": "own-keys",
    "extraArgs": ["--web.config.file=/etc/web/web.yml"],
    "extraEnv": [{"name": "HTTPS_PROXY", "value": "http://proxy.example:3128"}],
    "extraVolumes": [{"name": "web", "secret": {"secretName": "web"}}],
    "extraVolumeMounts": [{"name": "web", "mountPath": "/etc/web", "readOnly": True}],
    "persistence": {"size": "10Gi", "storageClass": "fast"},
    "resources": {"requests": {"cpu": "1"}},
    "podAnnotations": {"example.com/a": "b"},
    "podLabels": {"team": "security"},
    "nodeSelector": {"kubernetes.io/arch": "amd64"},
    "tolerations": [{"key": "dedicated", "operator": "Exists"}],
    "affinity": {"nodeAffinity": {}},
    "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway"}],
    "priorityClassName": "high",
    "probeScheme": "HTTPS",
    "podDisruptionBudget": {"enabled": True},
    "networkPolicy": {"monitoringNamespace": "observability", "odooPorts": [443, 8069], "extraEgress": [{"to": [{"podSelector": {}}]}]},
    "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}, "interval": "1m", "endpoint": {"scheme": "https"}},
    "prometheusRule": {"enabled": True, "labels": {"release": "prometheus"}},
    "dashboards": {"enabled": True, "labels": {"grafana_dashboard": "yes"}},
}
# What the schema refuses, and the word that its message has.
REFUSED = [
    ({"shard": 2}, "shard"),
    ({"shards": 0}, "shards"),
    ({"shards": "2"}, "shards"),
    ({"config": {"targets": []}}, "targets"),
    ({"networkPolicy": {"enable": False}}, "enable"),
    ({"image": {"digest": "latest"}}, "digest"),
    ({"persistence": {"size": "five"}}, "size"),
]


def main():
    # A copy without links to alerts/ and dashboards/, each of which Helm would log.
    with tempfile.TemporaryDirectory() as directory:
        copied = shutil.copytree(CHART, Path(directory) / CHART.name)
        if sys.argv[1:2] == ["--package"]:
            # Helm puts the files' times into the archive.
            for path in copied.rglob("*"):
                os.utime(path, (int(os.environ.get("SOURCE_DATE_EPOCH", "0")),) * 2)
            print(helm.package(str(copied), destination=sys.argv[2]))
            return 0
        return check(str(copied))


def check(path):
    # An icon, which Helm recommends, would have to be fetched from somewhere.
    linted = helm.lint(path, EVERYTHING, strict=True)
    problems = [f"lint: {message['error']}" for message in linted["messages"] if "icon is recommended" not in str(message["error"])]
    problems += [f"lint: {error}" for error in linted["errors"]]
    with helm.Chart.load(path) as chart:
        problems += versions(chart) + schema(chart)
        documents = render(chart, EVERYTHING)
        problems += equal_to_plain(documents) + valid("all of it", documents, NAME)
        problems += valid("other values", render(chart, OTHER_VALUES), "own-config")
        problems += reduced(chart)
    for problem in problems:
        print(problem, file=sys.stderr)
    if not problems:
        print(f"Helm chart ({helm.helm_sdk_version()}): {len(documents)} documents: OK")
    return 1 if problems else 0


def render(chart, values, name=NAME, namespace=NAME):
    rendered = chart.render(values, name=name, namespace=namespace)
    texts = [text for path, text in sorted(rendered.items()) if not path.endswith("NOTES.txt")]
    return {document["kind"] + ("/dashboards" if document["metadata"]["name"].endswith("-dashboards") else ""): document
            for text in texts for document in yaml.safe_load_all(text) if document}


def versions(chart):
    version = next(line.split('"')[1] for line in (ROOT / "Cargo.toml").read_text().splitlines() if line.startswith("version = "))
    return [f"Chart.yaml: {field} is {chart.metadata.get(field)}, Cargo.toml says {version}"
            for field in ("version", "appVersion") if chart.metadata.get(field) != version]


def schema(chart):
    unset = set(chart.values) - set(OTHER_VALUES)
    problems = [f"check.py tries no other value of {name}" for name in sorted(unset)]
    for values, word in REFUSED:
        try:
            chart.validate_schema(values)
            problems.append(f"the schema allows {values}")
        except helm.HelmError as error:
            if word not in str(error):
                problems.append(f"the error for {values} does not name {word}: {error}")
    return problems


def valid(what, documents, config_map):
    problems = [f"{what}: {kind}: {problem}" for kind, document in documents.items() for problem in PLAIN.against_schema(document)]
    if problems:
        return problems
    fitting = {kind: document for kind, document in documents.items() if "/" not in kind}
    fitting["Namespace"] = {"metadata": {"name": NAME}}
    problems += [f"{what}: {problem}" for problem in PLAIN.fit(fitting)]
    pod = documents["StatefulSet"]["spec"]["template"]["spec"]
    if pod["volumes"][0]["configMap"]["name"] != config_map or ("ConfigMap" in documents) != (config_map == NAME):
        problems.append(f"{what}: the configuration is not that of the ConfigMap {config_map}")
    if "ConfigMap" in documents:
        problems += [f"{what}: config.yml: {problem}" for problem in against_configuration(documents["ConfigMap"])]
    for name, text in documents["ConfigMap/dashboards"]["data"].items():
        if json.loads(text) != json.loads((ROOT / "dashboards" / name).read_text()):
            problems.append(f"{what}: {name} is not that in dashboards/")
    return problems


def against_configuration(config_map):
    import jsonschema

    checker = jsonschema.Draft202012Validator(json.loads((ROOT / "docs/config.schema.json").read_text()))
    return [error.message for error in checker.iter_errors(yaml.safe_load(config_map["data"]["config.yml"]))]


def equal_to_plain(documents):
    """Rendered as a release of the plain manifests' name, the chart says what they say."""
    problems = []
    for path in sorted((ROOT / "packaging/kubernetes").glob("**/*.yaml")):
        plain = yaml.safe_load(path.read_text())
        if plain["kind"] in ("Namespace", "Secret", "Kustomization"):
            continue
        chart = without_own(copy.deepcopy(documents.get(plain["kind"])))
        problems += [f"{plain['kind']}: {difference}" for difference in differences(comparable(plain), comparable(chart))]
    return problems


def without_own(node):
    if isinstance(node, list):
        return [without_own(part) for part in node]
    if isinstance(node, dict):
        # The plain manifests leave this to Kubernetes, whose default it is.
        return {key: without_own(value) for key, value in node.items()
                if key not in OWN_LABELS and (key, value) != ("imagePullPolicy", "IfNotPresent")}
    return node


def comparable(document):
    if document and document["kind"] == "ConfigMap":
        document = {**document, "data": {"config.yml": yaml.safe_load(document["data"]["config.yml"])}}
    return document


def differences(plain, chart, at=""):
    if isinstance(plain, dict) and isinstance(chart, dict):
        return [found for key in sorted(plain.keys() | chart.keys(), key=str) for found in differences(plain.get(key), chart.get(key), f"{at}.{key}")]
    if isinstance(plain, list) and isinstance(chart, list) and len(plain) == len(chart):
        return [found for place, pair in enumerate(zip(plain, chart)) for found in differences(*pair, f"{at}[{place}]")]
    return [] if plain == chart else [f"{at}: the manifest says {str(plain)[:200]}, the chart {str(chart)[:200]}"]


def reduced(chart):
    """What can be switched off is, and no object of Prometheus operator is created unless asked for."""
    kinds = set(render(chart, {"podDisruptionBudget": {"enabled": False}, "networkPolicy": {"enabled": False}}))
    return [] if kinds == {"ConfigMap", "Service", "StatefulSet"} else [f"switched off, but rendered: {sorted(kinds)}"]


if __name__ == "__main__":
    sys.exit(main())
