"""What is provisioned for a trigger: its rule's name and pattern, and its messages."""

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

from chalicelib.core.triggers.trigger import Events, Trigger, Uploads

RULE_NAME_LIMIT = 64
_DIGITS = 16  # of the digest in a name that had to be cut


def rule_name(stack: str, trigger: str) -> str:
    """Return the rule's name: the stack's prefix, which roles allow, and the trigger's name.

    A name that is too long is cut, and ends with a dot and a digest; no trigger's name has a dot.
    """
    prefix = f"{stack}-trigger-"
    if len(prefix) + len(trigger) <= RULE_NAME_LIMIT:
        return prefix + trigger
    digest = hashlib.sha256(trigger.encode()).hexdigest()[:_DIGITS]
    length = max(0, RULE_NAME_LIMIT - len(prefix) - len(digest) - 1)
    return f"{prefix}{trigger[:length]}.{digest}"[:RULE_NAME_LIMIT]


def pattern_of(source: Events | Uploads) -> Mapping[str, Any]:
    """Return the event pattern of the source's rule."""
    if isinstance(source, Events):
        return source.pattern
    detail: dict[str, Any] = {"bucket": {"name": [source.bucket]}}
    if source.prefix and source.suffix:
        # In a list they would be alternatives; one wildcard requires both.
        wildcard = f"{_escaped(source.prefix)}*{_escaped(source.suffix)}"
        detail["object"] = {"key": [{"wildcard": wildcard}]}
    elif source.prefix:
        detail["object"] = {"key": [{"prefix": source.prefix}]}
    elif source.suffix:
        detail["object"] = {"key": [{"suffix": source.suffix}]}
    return {"source": ["aws.s3"], "detail-type": list(source.kinds), "detail": detail}


def input_template(trigger: Trigger) -> str:
    """Return the template by which EventBridge makes the message of an event."""
    head = json.dumps({"trigger": trigger.name, "uid": trigger.uid})
    return f'{head[:-1]}, "event": <aws.events.event.json>}}'


def scheduled_message(trigger: Trigger) -> dict[str, Any]:
    """Return the message that Scheduler sends; it replaces the two keywords."""
    return {
        "trigger": trigger.name,
        "uid": trigger.uid,
        "firing": {
            "scheduledTime": "<aws.scheduler.scheduled-time>",
            "executionId": "<aws.scheduler.execution-id>",
        },
    }


def _escaped(text: str) -> str:
    return re.sub(r"([*\\])", r"\\\1", text)
