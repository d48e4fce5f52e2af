"""Tests of what triggers decide without AWS."""
