"""Benchmarks: each prints a figure, and none passes or fails. ``make bench`` runs those that need no GPU."""
