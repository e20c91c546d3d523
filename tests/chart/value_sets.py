"""Values that people install with, one set per purpose: all of them are rendered, validated and applied."""

from typing import Final

from chart.helm import Release

_LONG: Final = "a" * 63
_AS_TEXT: Final = """
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name }}-text
  namespace: {{ .Release.Namespace }}
"""
_TERM: Final = {"key": "gpu", "operator": "In", "values": ["no"]}

SETS: Final = {
    "default": Release(),
    "a release of another name": Release("serving", "models"),
    "named namespaces": Release(values={"watchNamespaces": ["team-a", "team-b"]}),
    "the rights of a namespace's admin": Release(
        "mine",
        "team-a",
        {
            "watchNamespaces": ["team-a"],
            "crds": {"enabled": False},
            "rbac": {"nodes": False, "aggregateClusterRoles": False},
        },
    ),
    "two replicas": Release(
        values={"replicaCount": 2, "podDisruptionBudget": {"minAvailable": "50%"}, "strategy": {"type": "Recreate"}}
    ),
    "everything that is watched by others": Release(
        values={
            "metrics": {
                "port": 9090,
                "service": {"enabled": True, "annotations": {"a": "b"}, "labels": {"c": "d"}},
                "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}, "interval": "1m"},
                "podMonitor": {"enabled": True, "metricRelabelings": [{"action": "drop", "regex": "python_.*"}]},
                "prometheusRule": {
                    "enabled": True,
                    "alertLabels": {"team": "ml"},
                    "disabled": ["MistralDeploymentPlanOutdated"],
                },
                "dashboard": {"enabled": True, "annotations": {"grafana_folder": "ML"}},
            }
        }
    ),
    "a closed network": Release(
        values={
            "image": {"repository": "registry.local:5000/mistral-operator", "digest": "sha256:" + "0" * 64},
            "imagePullSecrets": [{"name": "registry"}],
            "hub": {"endpoint": "https://hub.local/hf", "timeoutSeconds": 2.5, "cacheSizeLimit": "1Gi"},
            "proxy": {"httpsProxy": "http://proxy.local:3128", "noProxy": "hub.local,10.0.0.0/8"},
            "caBundle": {"configMap": {"name": "ca", "key": "bundle.pem"}},
            "networkPolicy": {
                "enabled": True,
                "metricsFrom": [{"namespaceSelector": {"matchLabels": {"name": "monitoring"}}}],
                "egressPorts": [443, 6443, 8000, 3128],
                "extraEgress": [{"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}],
            },
        }
    ),
    "certificates in a Secret": Release(
        values={"caBundle": {"secret": {"name": "ca"}}, "networkPolicy": {"enabled": True}}
    ),
    "stock vLLM": Release(
        values={"vllm": {"repository": "vllm/vllm-openai", "tag": "v0.25.1", "runtime": "vllm", "version": "0.25.1"}}
    ),
    "vLLM on the CPU": Release(values={"vllm": {"repository": "vllm-cpu", "tag": "1", "runtime": "vllm-cpu"}}),
    "a cluster that assigns users": Release(
        values={"podSecurityContext": {"runAsUser": None, "runAsGroup": None}, "securityContext": {"privileged": False}}
    ),
    "every knob of a pod": Release(
        values={
            "resources": {"limits": {"cpu": "1"}},
            "podAnnotations": {"a": "b", "kubectl.kubernetes.io/default-container": "sidecar"},
            "podLabels": {"c": "d"},
            "deploymentAnnotations": {"e": "f"},
            "nodeSelector": {"kubernetes.io/os": "linux"},
            "tolerations": [{"key": "infra", "operator": "Exists"}],
            "affinity": {
                "nodeAffinity": {
                    "requiredDuringSchedulingIgnoredDuringExecution": {
                        "nodeSelectorTerms": [{"matchExpressions": [_TERM]}]
                    }
                }
            },
            "topologySpreadConstraints": [
                {"maxSkew": 1, "topologyKey": "topology.kubernetes.io/zone", "whenUnsatisfiable": "DoNotSchedule"}
            ],
            "priorityClassName": "system-cluster-critical",
            "hostAliases": [{"ip": "10.0.0.1", "hostnames": ["hub.local"]}],
            "dnsPolicy": "None",
            "dnsConfig": {"nameservers": ["10.0.0.2"]},
            "terminationGracePeriodSeconds": 1000000,
            "revisionHistoryLimit": 0,
            "extraArgs": ["--hub-retry=1"],
            "extraEnv": [{"name": "HF_TOKEN", "valueFrom": {"secretKeyRef": {"name": "hf", "key": "token"}}}],
            "extraEnvFrom": [{"configMapRef": {"name": "more", "optional": True}}],
            "extraVolumes": [{"name": "more", "emptyDir": {}}],
            "extraVolumeMounts": [{"name": "more", "mountPath": "/more"}],
            "livenessProbe": {"initialDelaySeconds": 1},
            "log": {"level": "DEBUG", "format": "text"},
            "workers": 1,
            "resyncSeconds": 1e6,
            "lease": {"durationSeconds": 3},
        }
    ),
    "rights that others grant": Release(
        values={"rbac": {"create": False}, "serviceAccount": {"create": False, "name": "ours"}, "crds": {"keep": False}}
    ),
    "a ServiceAccount with a name": Release(
        values={"serviceAccount": {"name": "ours", "annotations": {"a": "b"}, "labels": {"c": "d"}}}
    ),
    "the longest names": Release(
        "r" * 53,
        "n" * 63,
        {
            "nameOverride": _LONG,
            "fullnameOverride": _LONG,
            "replicaCount": 2,
            "metrics": {"service": {"enabled": True}, "dashboard": {"enabled": True}},
            "networkPolicy": {"enabled": True},
        },
    ),
    # each of them is a name to Kubernetes, and to YAML a number or a truth
    "names that look like something else": Release(
        "7",
        "2024",
        {
            "watchNamespaces": ["2024", "007", "on", "null"],
            "nameOverride": "1234",
            "fullnameOverride": "0x10",
            "replicaCount": 2,
            "priorityClassName": "1",
            "serviceAccount": {"name": "true"},
            "caBundle": {"secret": {"name": "0"}},
            "metrics": {
                "service": {"enabled": True},
                "serviceMonitor": {"enabled": True},
                "podMonitor": {"enabled": True},
                "prometheusRule": {"enabled": True},
                "dashboard": {"enabled": True},
            },
            "networkPolicy": {"enabled": True},
        },
    ),
    "labels and manifests of one's own": Release(
        values={
            "commonLabels": {"team": "ml", "app.kubernetes.io/name": "not"},
            "extraObjects": [
                {
                    "apiVersion": "v1",
                    "kind": "ConfigMap",
                    "metadata": {"name": "{{ .Release.Name }}-yaml", "namespace": "{{ .Release.Namespace }}"},
                },
                _AS_TEXT,
            ],
        }
    ),
    "no replica": Release(values={"replicaCount": 0}),
}
