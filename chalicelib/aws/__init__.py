"""Thin verbs on AWS services. No rules live here."""
