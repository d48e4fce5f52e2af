"""The fleet of the local cloud: pretended EC2 instances on which ECS places tasks.

A plug inside the emulator's process, on the standard library alone. `capacity` and `packing` decide
and know no emulator; `fleet` keeps the instances; `plugs` replaces what the emulator lacks.
"""
