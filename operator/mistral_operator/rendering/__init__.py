"""From the frozen plan and the spec to manifests: pure functions, one file per kind or concern.

Server-side apply restores only the fields that are sent: what must not drift is always sent, even when it is empty.
"""
