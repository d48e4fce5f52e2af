"""What the tests are made with: one process that stands in for the deployed stack."""
