"""The resources of the catalog as values."""
