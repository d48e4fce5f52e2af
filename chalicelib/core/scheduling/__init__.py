"""Scheduling: the snapshot of what waits and what is free, and the plan made from it."""
