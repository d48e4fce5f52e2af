"""Tests that need a container engine; `engine.sh` runs them with an engine of their own."""
