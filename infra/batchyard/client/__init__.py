"""Clients of a Batchyard stack: endpoints, jobs, arrays, triggers, and a minimal set-up."""
