"""Tests of the reactions: lives of jobs and of what they run on, seen from outside."""
