"""The operator that serves Mistral models with vLLM, and its command line."""
