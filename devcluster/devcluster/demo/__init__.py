"""The demo: the operator at work on a real control plane of this machine, or on a cluster that exists.

``settings`` reads what is asked for, ``places`` brings up where it happens, ``scenes`` lets it happen and shows it,
``kept`` is about demos that go on without a terminal.
"""
