"""Tests of the thin verbs on AWS services, and of what is mapped for them."""
