"""Tests of instances: names, requests, and what an instance holds."""
