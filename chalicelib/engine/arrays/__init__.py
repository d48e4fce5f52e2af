"""Children of array jobs that have a row."""
