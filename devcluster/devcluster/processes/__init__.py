"""Processes that end with the one that started them, however that ends, and leave no file behind."""

from devcluster.processes.errors import StartError
from devcluster.processes.leash import Leash
from devcluster.processes.process import Process

__all__ = ["Leash", "Process", "StartError"]
