"""The API's own modules."""
