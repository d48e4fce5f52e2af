"""The AWS Batch API and the triggers API: one module per kind of resource or request."""
