"""Crashes of every door at every call outward: what is delivered again must come to the same."""
