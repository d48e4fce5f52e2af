"""The sweeper: once a minute, whatever no event will bring."""
