"""What ``vllm/_version.py`` would hold."""

__version__ = version = "0.25.1"
__version_tuple__ = version_tuple = (0, 25, 1)
__commit_id__ = commit_id = None
