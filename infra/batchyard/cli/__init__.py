"""The command line: verbs, and how their output looks."""
