"""Tests of the catalog's resources as values."""
