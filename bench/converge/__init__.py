"""How fast an operator turns objects into Deployments, and how quiet it is afterwards.

Any operator and any kind of object: an operator file (:mod:`bench.converge.operators`) names the command, what to apply
before it starts, and the object. Every run has a control plane of its own, etcd and kube-apiserver alone, so that
nothing but the operator is measured::

    python -m bench.converge -n 100 -n 1000 other-operator.yaml

:mod:`bench.converge.measure` is the flow, readable from top to bottom; what it sees becomes figures in
:mod:`bench.converge.figures`.
"""
