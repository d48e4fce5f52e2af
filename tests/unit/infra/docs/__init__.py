"""Tests of generated documents."""
