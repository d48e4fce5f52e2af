"""The demo: real jobs on a local cloud of its own."""
