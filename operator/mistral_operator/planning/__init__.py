"""Pure planning: facts about a model and a GPU, and what a user asked for, to one plan. No I/O, no clock, no client."""
