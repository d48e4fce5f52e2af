"""The deployed stack as tests see it: what `infra/stack` declares, with its names filled in.

Tables, filters, timeouts and state machines of the World are read from here, so that a change of
the stack changes what the tests run on. This module does not depend on the World.
"""

import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from batchyard.cloud.template import load_stack

ROOT = Path(__file__).parents[2]
STACK, REGION, ACCOUNT = "yard", "us-east-1", "123456789012"

_PSEUDO_PARAMETERS = {
    "AWS::StackName": STACK,
    "AWS::Region": REGION,
    "AWS::AccountId": ACCOUNT,
    "AWS::Partition": "aws",
}


@lru_cache(maxsize=1)
def template() -> dict[str, Any]:
    """Return the whole template of the project; it must not be changed."""
    return load_stack(ROOT / "infra" / "stack", ROOT / "statemachines")


def properties(logical_id: str) -> dict[str, Any]:
    """Return the properties of one resource, with names and parameters' defaults filled in."""
    found: dict[str, Any] = _filled(template()["Resources"][logical_id]["Properties"])
    return found


def machine(logical_id: str, substitutions: Mapping[str, str]) -> dict[str, Any]:
    """Return a state machine's definition as Step Functions gets it."""
    text = template()["Resources"][logical_id]["Properties"]["DefinitionString"]
    for name, value in {"Partition": "aws", **substitutions}.items():
        text = text.replace(f"${{{name}}}", value)
    definition: dict[str, Any] = json.loads(text)
    return definition


def _filled(value: Any) -> Any:
    if isinstance(value, list):
        return [_filled(item) for item in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == {"Fn::Sub"}:
        text = str(value["Fn::Sub"])
        for name, replacement in _PSEUDO_PARAMETERS.items():
            text = text.replace(f"${{{name}}}", replacement)
        return text
    if value.keys() == {"Ref"}:
        parameter = template().get("Parameters", {}).get(value["Ref"], {})
        return parameter.get("Default", value)
    return {key: _filled(item) for key, item in value.items()}


def matches(pattern: Mapping[str, Any], event: Mapping[str, Any]) -> bool:
    """Return whether an event fits a pattern of EventBridge: exact values and prefixes."""
    for key, wanted in pattern.items():
        value = event.get(key)
        if isinstance(wanted, Mapping):
            if not isinstance(value, Mapping) or not matches(wanted, value):
                return False
        elif not any(_fits(choice, value) for choice in wanted):
            return False
    return True


def _fits(choice: Any, value: Any) -> bool:
    if isinstance(choice, Mapping):
        return isinstance(value, str) and value.startswith(choice["prefix"])
    return bool(choice == value)


def pattern(text: str) -> dict[str, Any]:
    """Return a filter of an event-source mapping, which CloudFormation carries as text."""
    loaded: dict[str, Any] = json.loads(text)
    return loaded
