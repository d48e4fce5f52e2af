"""Batchyard: a serverless control plane for batch jobs that speaks the AWS Batch API."""
