"""The nodes of multi-node parallel jobs."""
