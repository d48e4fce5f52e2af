"""Thin clients of AWS services, without rules. Their contracts are in `chalicelib.ports`."""
