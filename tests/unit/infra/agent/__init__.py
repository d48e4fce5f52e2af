"""Tests of the local ECS agent. `world` has the fakes of AWS."""
