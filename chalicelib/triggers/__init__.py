"""Triggers: schedules, events and uploads that submit jobs."""
