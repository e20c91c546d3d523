"""The API server, and the only place that knows its client.

Everything above deals in plain JSON objects and in the typed errors of :mod:`mistral_operator.cluster.errors`.
"""
