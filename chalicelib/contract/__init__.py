"""The contract on the wire: botocore's model of AWS Batch, and checks against its shapes."""
