"""Tests of the clients of AWS services."""
