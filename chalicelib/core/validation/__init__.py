"""Rules of meaning: what AWS Batch refuses although it fits the model, in AWS's own words.

Every function takes values that already fit the service model, so a member that is there has the
right type, and raises ClientError. Messages without an AWS original are ours and say which member
is wrong. Nothing here reads a store: what depends on other resources is passed in as a value.

Start at `job_definition` (RegisterJobDefinition) and `submit` (SubmitJob).
"""
