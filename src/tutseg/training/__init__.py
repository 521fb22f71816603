"""Fit, evaluate, checkpoint; a trial and its result."""
