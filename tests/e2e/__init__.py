"""Tests on the packaged stack in the local cloud."""
