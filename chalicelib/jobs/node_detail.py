"""What DescribeJobs and ListJobs add for multi-node parallel jobs and their nodes."""

from collections.abc import Mapping
from typing import Any

from chalicelib.core.job import Job
from chalicelib.core.multinode import index_of


def node_members(job: Job, document: Mapping[str, Any], arn: str) -> dict[str, Any]:
    """The members of JobDetail that make the difference.

    A multi-node job has its ranges in place of a container; a node has its place among them, and
    none of the job's tags. An ordinary job has neither.
    """
    if job.nodes is None:
        return {}
    if not job.key.is_node:
        return {
            "nodeProperties": document["nodeProperties"],
            "container": None,
            "ecsProperties": None,
        }
    index = index_of(job)
    return {
        "nodeDetails": {"nodeIndex": index, "isMainNode": index == job.nodes.main},
        "tags": {"resourceArn": arn},
    }


def node_summary(job: Job) -> dict[str, Any] | None:
    """The NodePropertiesSummary of a multi-node job or of a node; None for any other."""
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
