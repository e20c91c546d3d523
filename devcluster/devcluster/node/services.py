"""What makes Services work: kube-proxy for their addresses, CoreDNS for their names."""

from pathlib import Path
from typing import Any, Final

from devcluster.node.network import NODE_ADDRESS, PODS

DNS_USER: Final = "coredns"


def proxy_configuration(kubeconfig: Path) -> dict[str, Any]:
    """Return kube-proxy's configuration."""
    # numbers of connections are the whole machine's to limit
    unlimited = {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"}
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "iptables",
        "clientConnection": {"kubeconfig": str(kubeconfig)},
        "clusterCIDR": PODS,
        "healthzBindAddress": "127.0.0.1:10256",
        "metricsBindAddress": "127.0.0.1:10249",
        "conntrack": unlimited,
        "iptables": {"minSyncPeriod": "0s"},  # a Service works at once
    }


def corefile(kubeconfig: Path) -> str:
    """Return CoreDNS's configuration; it knows the cluster's names and no others."""
    return f""".:53 {{
  bind {NODE_ADDRESS}
  errors
  ready 127.0.0.1:8181
  kubernetes cluster.local in-addr.arpa {{
    kubeconfig {kubeconfig} local
    pods insecure
    ttl 2
  }}
  cache 2
}}
"""


def dns_rights() -> dict[str, Any]:
    """Return what lets CoreDNS read Services."""
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": DNS_USER},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": DNS_USER}],
    }
