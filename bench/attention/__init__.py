"""Attention backends of vLLM measured and checked on a GPU: kernels without an engine, and whole engines."""
