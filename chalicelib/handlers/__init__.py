"""What wakes us: one module for each Lambda function. Decode, call, encode."""
