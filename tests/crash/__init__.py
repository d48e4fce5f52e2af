"""Crashes of every handler at every outgoing call: delivered again, it must end the same."""
