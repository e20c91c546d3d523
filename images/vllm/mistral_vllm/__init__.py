"""Sliding-window attention for Mistral models on vLLM: what a config says, and which backend runs it.

The operator imports these very modules, and so does the plugin inside the pod: what is planned and what is run
come from one reading of one file. What it imports needs the standard library alone; ``backend``, ``integration`` and
the worker's and server's parts of ``telling`` need vLLM.
"""
