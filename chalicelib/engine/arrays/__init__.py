"""What happens to the children of array jobs by itself."""
