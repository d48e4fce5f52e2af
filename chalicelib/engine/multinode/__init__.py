"""Multi-node parallel jobs: starting and stopping their nodes, and what is reported of them.

The main node is the job itself and is handled like any other job. The other nodes are started by
the multi-node state machine once the main node runs and its address is known. What is reported of
them is kept in rows of their own. A node's task that is not of the job's current placement is
stopped as soon as it is reported.

A node's row is written before its job is read again, and a job's end is written before its nodes
are looked for. At least one of the two sees the other, so no node outlives its job.
"""
