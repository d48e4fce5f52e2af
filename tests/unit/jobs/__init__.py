"""Tests of the use cases on jobs."""
