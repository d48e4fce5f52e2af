"""Tests of packaging, deploying and the local cloud."""
