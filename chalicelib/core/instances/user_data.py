"""User data: the script by which an instance joins its cluster, beside what its owner runs.

Several scripts travel as the parts of one MIME archive, which cloud-init runs in their order (AWS
Batch user guide, "Use Amazon EC2 user data in launch templates").
"""

import re

from chalicelib.core.instances.errors import UnusableResourcesError
from chalicelib.core.instances.sizes import RESERVED_MIB

LIMIT_BYTES = 16 * 1024  # before it is encoded (EC2 user guide, "Instance user data")
_BOUNDARY = "==BATCHYARD=="
_DECLARED = re.compile(r'boundary="?([^"\r\n;]+)"?')
_KINDS = {"#cloud-config": "text/cloud-config", "#!": "text/x-shellscript"}


_RESERVE = (
    "grep -qs '^ECS_RESERVED_MEMORY=' /etc/ecs/ecs.config || "
    f"echo ECS_RESERVED_MEMORY={RESERVED_MIB} >> /etc/ecs/ecs.config"
)


def joining_script(cluster: str, *, is_spot: bool, has_gpus: bool) -> str:
    """Return the script that has the ECS agent register the instance in the cluster.

    The agent of an interrupted Spot instance drains it, so that its tasks get the notice. A little
    memory is kept from tasks, as on AWS Batch's own image, unless the owner says how much.
    """
    settings = [f"ECS_CLUSTER={cluster}"]
    if is_spot:
        settings.append("ECS_ENABLE_SPOT_INSTANCE_DRAINING=true")
    if has_gpus:
        settings.append("ECS_ENABLE_GPU_SUPPORT=true")
    lines = "\n".join(settings)
    return f"#!/bin/bash\n{_RESERVE}\ncat >> /etc/ecs/ecs.config <<'EOF'\n{lines}\nEOF\n"


def joined(theirs: str | None, script: str) -> str:
    """Return user data that runs what its owner runs, and then the script.

    The script comes last, because of two settings in the agent's file the last one counts, and the
    instance must join its own cluster. Raises UnusableResourcesError if the whole is too large.
    """
    text = _archive(theirs, script)
    size = len(text.encode())
    if size > LIMIT_BYTES:
        raise UnusableResourcesError(
            f"The user data of the launch template has {size} bytes with the part that joins the "
            f"cluster, and EC2 takes {LIMIT_BYTES}. Make it smaller."
        )
    return text


def _archive(theirs: str | None, script: str) -> str:
    if not theirs or not theirs.strip():
        return _new_archive(_part(script))
    head = theirs.lstrip().replace("\r\n", "\n").partition("\n\n")[0]
    declared = _DECLARED.search(head) if "multipart/" in head.lower() else None
    if declared is None:
        return _new_archive(_part(theirs), _part(script))
    text = theirs.strip().replace("\r\n", "\n")
    before, end, _ = text.rpartition(f"--{declared[1].strip()}--")
    if not end:
        raise UnusableResourcesError(
            "The user data of the launch template is a MIME multi-part archive without an end. End "
            f"it with the line --{declared[1].strip()}--"
        )
    return f"{before.rstrip()}\n--{declared[1].strip()}\n{_part(script)}\n{end}\n"


def _new_archive(*parts: str) -> str:
    body = "".join(f"--{_BOUNDARY}\n{part}\n" for part in parts)
    return (
        "MIME-Version: 1.0\n"
        f'Content-Type: multipart/mixed; boundary="{_BOUNDARY}"\n\n'
        f"{body}--{_BOUNDARY}--\n"
    )


def _part(text: str) -> str:
    """Return a part of an archive, of the kind that its first line shows."""
    body = text.strip("\n")
    kind = next((kind for mark, kind in _KINDS.items() if body.startswith(mark)), None)
    if kind is None:
        raise UnusableResourcesError(
            "The user data of the launch template is neither a MIME multi-part archive, nor a "
            "shell script, nor a cloud-config. Make it one of them."
        )
    return f'Content-Type: {kind}; charset="us-ascii"\nMIME-Version: 1.0\n\n{body}\n'
