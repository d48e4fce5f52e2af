"""What happens when something happened: streams, wakes, task events, sweeps, provisioning."""
