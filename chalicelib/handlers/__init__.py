"""What starts our code: one module for each Lambda function, which decodes, calls and encodes.

Only these modules read the shapes of Lambda's events: records, message ids, stream images.
"""
