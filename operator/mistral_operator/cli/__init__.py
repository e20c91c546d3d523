"""The command line: ``mistral-operator``, also installed as ``kubectl-mistral``."""

from mistral_operator.cli.app import main

__all__ = ["main"]
