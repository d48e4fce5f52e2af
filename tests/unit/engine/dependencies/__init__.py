"""Tests of dependencies between jobs."""
