"""Provisioning: create, update and delete what a row of the catalog stands for.

`changes.py` starts the machine of the row's kind when a row becomes CREATING, UPDATING or DELETING;
each task state of the machine runs one step of `steps.py`. A step reads the row again, does what
its status asks for, and may run any number of times. At the end the row is VALID, INVALID with a
reason, or gone.
"""
