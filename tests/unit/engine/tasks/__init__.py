"""Tests of ECS tasks: launch, stop, reports."""
