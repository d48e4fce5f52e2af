"""Tests of the pretended instances of the local cloud."""
