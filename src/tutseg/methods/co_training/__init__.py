"""Trained methods that learn from labelled and unlabelled pictures, most of them by several views or networks."""
