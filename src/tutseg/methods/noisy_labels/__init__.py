"""Methods that learn from outlines which may be wrong: DALE, its rivals, and the plain small-loss rule."""
