"""Tests of the stores over DynamoDB."""
