"""Instances that a compute environment buys: what they are named, asked for, and can hold."""
