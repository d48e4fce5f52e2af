"""The benchmark: latency, throughput and price of a job on the local cloud."""
