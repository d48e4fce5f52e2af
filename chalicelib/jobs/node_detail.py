"""The members of DescribeJobs and ListJobs that only multi-node parallel jobs and nodes have."""

from collections.abc import Mapping
from typing import Any

from chalicelib.core.canonical import canonical_nodes
from chalicelib.core.job import Job
from chalicelib.core.multinode import index_of


def node_members(job: Job, document: Mapping[str, Any], arn: str) -> dict[str, Any]:
    """Return the members of JobDetail that differ from those of an ordinary job.

    A multi-node job has its ranges in place of a container; a node has its index among them, and
    none of the job's tags. An ordinary job has neither.
    """
    if job.nodes is None:
        return {}
    if not job.key.is_node:
        return {
            "nodeProperties": canonical_nodes(document["nodeProperties"]),
            "container": None,
            "ecsProperties": None,
        }
    index = index_of(job)
    return {
        "nodeDetails": {"nodeIndex": index, "isMainNode": index == job.nodes.main},
        "tags": {"resourceArn": arn},
    }


def node_summary(job: Job) -> dict[str, Any] | None:
    """Return the NodePropertiesSummary of a multi-node job or of a node; None for any other."""
    if job.nodes is None:
        return None
    if not job.key.is_node:
        return {"numNodes": job.nodes.count}
    index = index_of(job)
    return {
        "isMainNode": index == job.nodes.main,
        "numNodes": job.nodes.count,
        "nodeIndex": index,
    }
