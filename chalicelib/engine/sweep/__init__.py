"""The sweeper: once a minute, it finds and corrects what no event will bring."""
