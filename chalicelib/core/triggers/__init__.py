"""Triggers, pure: what starts jobs, which request an event makes, and what becomes of a firing."""
