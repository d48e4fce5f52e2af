"""Reaching a Batchyard stack: endpoints, clients, and what is asked of them."""
