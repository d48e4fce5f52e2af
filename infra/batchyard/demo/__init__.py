"""The demo: real jobs on a temporary local cloud."""
