"""The resources of the catalog as values: one module for each kind."""
