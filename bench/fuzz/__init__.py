"""Fuzzing: drawn inputs of every kind against the operator and its command."""
