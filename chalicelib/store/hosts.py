"""The hosts of a job's attempts in its row: a few dozen bytes for each, in one attribute.

A row costs a write unit for each KB at every transition, and the ARNs and ids of ECS would fill
half of one. So a container instance is kept as its id, from which the task's ARN gives the rest,
and ids are kept as the 16 bytes that they stand for. One attribute beside the attempts' own, since
no version drops an attribute that it does not know, and none reads more from it than it knows.
"""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from chalicelib.core.events import TaskHost
from chalicelib.core.job import Attempt

_OF_HOST, _OF_ATTEMPT = ",", " "
_HEX, _UUID, _TEXT = "h", "u", "="


def packed_hosts(attempts: Sequence[Attempt]) -> str | None:
    """Return the attribute: the hosts of the attempts in their order; None where none is known."""
    packed = _OF_ATTEMPT.join(_packed(attempt) for attempt in attempts)
    return packed if packed.strip() else None


def with_hosts(attempts: Sequence[Attempt], packed: str | None) -> tuple[Attempt, ...]:
    """Return the attempts with their hosts."""
    if not packed:
        return tuple(attempts)
    parts = packed.split(_OF_ATTEMPT)
    hosts = [_host(part, attempt) for part, attempt in zip(parts, attempts, strict=False)]
    hosts += [None] * (len(attempts) - len(hosts))
    return tuple(replace(attempt, host=host) for attempt, host in zip(attempts, hosts, strict=True))


def _packed(attempt: Attempt) -> str:
    host = attempt.host
    if host is None:
        return ""
    instance = host.container_instance_arn
    prefix = _instance_prefix(attempt)
    if instance is not None and prefix is not None:
        instance = instance.removeprefix(prefix)
    ids = (_packed_id(instance), _packed_id(host.attachment_id))
    return _OF_HOST.join((*ids, host.ipv4_address or "", host.ipv6_address or "")).rstrip(_OF_HOST)


def _host(packed: str, attempt: Attempt) -> TaskHost | None:
    if not packed:
        return None
    # Members that a later version adds behind these are left alone.
    instance, attachment, ipv4, ipv6, *_ = (*packed.split(_OF_HOST), "", "", "", "")
    arn = _text_of(instance)
    if arn is not None and ":" not in arn:
        arn = f"{_instance_prefix(attempt) or ''}{arn}"
    return TaskHost(
        container_instance_arn=arn,
        attachment_id=_text_of(attachment),
        ipv4_address=ipv4 or None,
        ipv6_address=ipv6 or None,
    )


def _instance_prefix(attempt: Attempt) -> str | None:
    """Return what precedes the ids of container instances in the cluster of the attempt's task."""
    head, found, tail = (attempt.task_arn or "").partition(":task/")
    if not found:
        return None
    return f"{head}:container-instance/{tail[: tail.rfind('/') + 1]}"


def _packed_id(text: str | None) -> str:
    if text is None:
        return ""
    try:
        raw = bytes.fromhex(text.replace("-", ""))
    except ValueError:
        return f"{_TEXT}{text}"
    for kind in (_HEX, _UUID):
        short = kind + base64.urlsafe_b64encode(raw).decode().rstrip("=")
        if len(raw) == 16 and _text_of(short) == text:
            return short
    return f"{_TEXT}{text}"


def _text_of(packed: str) -> str | None:
    if not packed:
        return None
    kind, rest = packed[0], packed[1:]
    if kind == _TEXT:
        return rest
    try:
        raw = base64.urlsafe_b64decode(f"{rest}==")
    except binascii.Error:
        return rest
    return raw.hex() if kind == _HEX else str(UUID(bytes=raw))
