"""The contract on the wire: botocore's model of AWS Batch, and values held against its shapes."""
