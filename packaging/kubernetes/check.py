#!/usr/bin/env python3
"""Checks each manifest against Kubernetes' schemas (the oldest and the newest version that are promised) and Prometheus operator's, and that
names and labels fit each other. The PrometheusRule is an output of `odoo-mfa-exporter rules`: `cargo test` compares it.

Needs kubernetes-validate and cloudcoil-models-prometheus-operator: scripts/test-tools installs them, and `make rules` runs this with them.
"""
import sys
from pathlib import Path

import yaml

HERE = Path(__file__).resolve().parent
RULES = HERE.parents[1] / "alerts/odoo-mfa.rules.yml"
RULE = HERE / "prometheus-operator/prometheusrule.yaml"
VERSIONS = ("1.28", "1.37")
KUSTOMIZATION = "kustomization.yaml"


def main():
    documents = {path.relative_to(HERE): yaml.safe_load(path.read_text()) for path in sorted(HERE.glob("**/*.yaml"))
                 if path.name != KUSTOMIZATION}
    problems = kustomized()
    for path, document in documents.items():
        problems += [f"{path}: {problem}" for problem in against_schema(document)]
    problems = problems or fit({document["kind"]: document for document in documents.values()})
    for problem in problems:
        print(problem, file=sys.stderr)
    if not problems:
        print(f"{len(documents)} Kubernetes manifests: OK")
    return 1 if problems else 0


def kustomized():
    """What each kustomization.yaml leaves out. That kustomize builds them is for `make prove`."""
    problems = []
    for path in HERE.glob(f"**/{KUSTOMIZATION}"):
        beside = {other.name for other in path.parent.glob("*.yaml")} - {KUSTOMIZATION}
        if beside != set(yaml.safe_load(path.read_text())["resources"]):
            problems.append(f"{path.relative_to(HERE)}: its resources are not the files beside it")
    return problems


def against_schema(document):
    import jsonschema
    import kubernetes_validate

    if document["apiVersion"].startswith("monitoring.coreos.com/"):
        import cloudcoil.models.prometheus_operator.v1 as operator

        schema = closed(getattr(operator, document["kind"]).model_json_schema(by_alias=True))
        return [f"{error.json_path}: {error.message}" for error in jsonschema.Draft202012Validator(schema).iter_errors(document)]
    problems = []
    for version in VERSIONS:
        try:
            kubernetes_validate.validate(document, version, strict=True)
        except kubernetes_validate.ValidationError as error:
            problems.append(f"Kubernetes {version}: {'.'.join(map(str, error.path))}: {error.message}")
    return problems


def closed(schema):
    """The schema without room for fields that it does not name: a misspelt one would be ignored silently."""
    if isinstance(schema, list):
        return [closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    schema = {key: closed(value) for key, value in schema.items()}
    if isinstance(schema.get("properties"), dict):
        schema.setdefault("additionalProperties", False)
    return schema


def fit(by_kind):
    """What no schema knows: that what refers to something finds it."""
    workload, service, monitor = by_kind["StatefulSet"], by_kind["Service"], by_kind["ServiceMonitor"]
    pod = workload["spec"]["template"]
    labels, container = pod["metadata"]["labels"], pod["spec"]["containers"][0]
    ports = {port["name"] for port in container["ports"]}
    volumes = {volume["name"] for volume in pod["spec"]["volumes"]} | {
        claim["metadata"]["name"] for claim in workload["spec"]["volumeClaimTemplates"]}
    env = {variable["name"]: variable.get("value") for variable in container["env"]}
    expected = {
        "the StatefulSet selects its pods": workload["spec"]["selector"]["matchLabels"].items() <= labels.items(),
        "the Service selects the pods": service["spec"]["selector"].items() <= labels.items(),
        "the NetworkPolicy selects the pods": by_kind["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"].items() <= labels.items(),
        "the PodDisruptionBudget selects the pods":
            by_kind["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"].items() <= labels.items(),
        "the ServiceMonitor selects the Service":
            monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items(),
        "the job has the name that the rules know":
            service["metadata"]["labels"].get(monitor["spec"]["jobLabel"]) == "odoo-mfa-exporter",
        "ports are called the same everywhere":
            {port["targetPort"] for port in service["spec"]["ports"]} <= ports
            and {endpoint["port"] for endpoint in monitor["spec"]["endpoints"]} <= {port["name"] for port in service["spec"]["ports"]}
            and {rule["port"] for entry in by_kind["NetworkPolicy"]["spec"]["ingress"] for rule in entry["ports"]} <= ports
            and {container[probe]["httpGet"]["port"] for probe in ("livenessProbe", "readinessProbe")} <= ports,
        "mounts name volumes": {mount["name"] for mount in container["volumeMounts"]} <= volumes,
        "there are as many pods as shards": env["ODOO_MFA_EXPORTER_TOTAL_SHARDS"] == str(workload["spec"]["replicas"]),
        "all is in one namespace": {by_kind["Namespace"]["metadata"]["name"]} == {
            document["metadata"]["namespace"] for kind, document in by_kind.items() if kind != "Namespace"},
    }
    return [f"not so: {claim}" for claim, holds in expected.items() if not holds]


if __name__ == "__main__":
    sys.exit(main())
