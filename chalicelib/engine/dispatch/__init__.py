"""The dispatcher: read a snapshot, make a plan, commit it."""
