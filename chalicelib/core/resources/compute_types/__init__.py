"""The compute types: one module for each family, and the table of all of them."""
