"""What a pod tells of itself: the attention it really runs, and why it could not start."""
