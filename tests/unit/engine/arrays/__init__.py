"""Tests of array jobs."""
