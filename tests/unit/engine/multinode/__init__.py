"""Tests of multi-node parallel jobs."""
