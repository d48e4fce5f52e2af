"""Crashes of every handler at every outgoing call: delivery again must lead to the same end."""
