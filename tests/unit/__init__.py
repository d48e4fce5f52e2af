"""One module of the code at a time."""
