"""The rules of meaning."""
