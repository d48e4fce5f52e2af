"""Tests of what instances hold."""
