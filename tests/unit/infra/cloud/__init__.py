"""Tests of packaging, deployment and the local cloud."""
