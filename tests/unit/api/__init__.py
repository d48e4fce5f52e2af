"""Tests of the API's operations."""
