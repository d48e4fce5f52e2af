"""The AWS Batch API: the contract on the wire and one module per resource."""
