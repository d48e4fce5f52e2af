"""Scheduling: a snapshot of what waits and what is free, and the plan that is made of it."""
