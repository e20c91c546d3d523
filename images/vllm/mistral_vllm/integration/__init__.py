"""The Llama/Mistral integration: what vLLM reads of a config, and whether its layers got what it says.

::

    install.py         puts both in place, for the one vLLM release they are written for
    config_parsers.py  vLLM's parsers of config.json and params.json, whose result has one consistent layout
    models.py          vLLM's model classes, which refuse to serve a window that the config does not mean
    windows.py         the comparison itself, and the line in the log. Pure

Needs vLLM and PyTorch, but for ``windows``; nothing outside the pod may import these modules.
"""
