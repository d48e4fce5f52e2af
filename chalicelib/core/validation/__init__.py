"""Rules of meaning: requests that AWS Batch refuses although they fit its model.

Every function takes values that already fit the service model, so a member that is there has the
right type, and raises ClientError. Messages are AWS's own where one is known; the others are
written like them and name the member that is wrong. Nothing here reads a store: what depends on
other resources is passed in as a value.

Start at `job_definition` (RegisterJobDefinition) and `submit` (SubmitJob).
"""
