"""The rules for the volumes of a task and the mount points of its containers.

Fargate's own restrictions on volumes are in `fargate`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from chalicelib.core.errors import ClientError

_KINDS = ("host", "efsVolumeConfiguration", "s3filesVolumeConfiguration")
_FILE_SYSTEM_ID = re.compile(r"fs-[0-9a-f]{8,40}")
_PORTS = range(1, 65535 + 1)


def validate_volumes(volumes: Sequence[Mapping[str, Any]], job_role_arn: str | None) -> None:
    """Refuse volumes of more than one kind, duplicate names, and wrong file system settings."""
    names = [volume["name"] for volume in volumes if "name" in volume]
    if len(set(names)) != len(names):
        raise ClientError("Volume names must be unique")
    for volume in volumes:
        # A plain volume that was described and sent back has an empty host.
        if sum(1 for kind in _KINDS if volume.get(kind)) > 1:
            raise ClientError(
                "When the volume parameter is specified, only one volume configuration type "
                "should be used."
            )
        efs = volume.get("efsVolumeConfiguration")
        if efs is not None:
            _validate_efs(efs)
        s3_files = volume.get("s3filesVolumeConfiguration")
        if s3_files is not None:
            _validate_port(s3_files.get("transitEncryptionPort"))
            if not job_role_arn:
                raise ClientError(
                    "A jobRoleArn/taskRoleArn is required when using s3filesVolumeConfiguration."
                )


def validate_mount_points(
    containers: Iterable[Mapping[str, Any]], volumes: Iterable[Mapping[str, Any]]
) -> None:
    """Refuse a mount point of an unknown volume, which ECS would refuse when the task starts."""
    names = {volume.get("name") for volume in volumes}
    for container in containers:
        for mount in container.get("mountPoints", []):
            source = mount.get("sourceVolume")
            if source and source not in names:
                raise ClientError(f"sourceVolume {source} must reference a defined volume.")


def _validate_efs(efs: Mapping[str, Any]) -> None:
    if _FILE_SYSTEM_ID.fullmatch(efs["fileSystemId"].rpartition("/")[2]) is None:
        raise ClientError(f"EFS configuration fileSystemId is not valid: {efs['fileSystemId']}.")
    _validate_port(efs.get("transitEncryptionPort"))
    authorization = efs.get("authorizationConfig", {})
    encrypted = efs.get("transitEncryption") == "ENABLED"
    if authorization.get("iam") == "ENABLED" and not encrypted:
        raise ClientError("EFS IAM authorization requires TransitEncryption to be enabled.")
    if not authorization.get("accessPointId"):
        return
    if not encrypted:
        raise ClientError("EFS IAM access point requires TransitEncryption to be enabled.")
    if efs.get("rootDirectory", "/") != "/":
        raise ClientError(
            'When using an EFS access point, the root directory must either be set to "/" or be '
            "omitted."
        )


def _validate_port(port: int | None) -> None:
    if port is not None and port not in _PORTS:
        raise ClientError("TransitEncryptionPort must be a valid port number.")
