"""Tests of events, task tokens and executions."""
