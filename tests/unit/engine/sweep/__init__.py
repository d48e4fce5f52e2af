"""Tests of the sweeper."""
