"""Tests of the state machines, as source and by executing them."""
