"""What a person is told: pure functions from the decision and what was observed to ``status`` and Events."""
