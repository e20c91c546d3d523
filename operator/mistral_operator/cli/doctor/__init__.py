"""``mistral-operator doctor``: what is wrong with a cluster, and what to do about each thing.

``reading`` asks the API server and the hub, as the user of a kubeconfig, and changes nothing; what came back stands in
``facts``. Each module of ``checks`` is a pure function from facts to findings. ``text`` and ``document`` print them.
"""
