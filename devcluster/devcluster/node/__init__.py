"""A real node beside a local control plane: kubelet, containerd, runc, CNI bridge, kube-proxy and CoreDNS.

It needs root on Linux, and nothing of it is left on the machine when it ends::

    with Node(Progress()) as node, HubServer(host=node.host_address) as hub:
        node.load_image(archive)
        print(node.kubectl("get", "nodes"))
"""

from devcluster.node.errors import NodeUnavailable
from devcluster.node.node import Node

__all__ = ["Node", "NodeUnavailable"]
