"""Tests that need a container engine; `engine.sh` runs them beside one of its own."""
