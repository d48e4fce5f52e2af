"""Tests of the engine: lives of jobs, seen from outside."""
