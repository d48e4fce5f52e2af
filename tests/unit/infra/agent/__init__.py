"""Tests of the local ECS agent. `world` holds the stand-ins for AWS."""
