"""Our part of the CloudFormation template, from the readable files of `infra/stack`.

Each file holds one concern and may use CloudFormation's short tags. Together they are what Chalice
merges over the functions and the API that it makes from app.py. Nothing here knows an account.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

Template = dict[str, Any]


class _Loader(yaml.SafeLoader):
    """YAML with CloudFormation's short tags, in the long form that JSON needs."""


def _expand_tag(loader: _Loader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    if isinstance(node, yaml.SequenceNode):
        value: Any = loader.construct_sequence(node, deep=True)
    elif isinstance(node, yaml.MappingNode):
        value = loader.construct_mapping(node, deep=True)
    else:
        value = str(node.value)
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {suffix if suffix in {"Ref", "Condition"} else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _expand_tag)


def parse_yaml(text: str) -> Template:
    """Return YAML with CloudFormation's short tags as plain dictionaries and lists."""
    # A safe loader in all but its tags, which make plain dicts.
    parsed: Template = yaml.load(text, Loader=_Loader)
    return parsed


def load_stack(stack: Path, machines: Path) -> Template:
    """Return all files of the stack as one template, with the state machines' definitions.

    Raises ValueError when two files define the same thing.
    """
    merged: Template = {}
    for path in sorted(stack.glob("*.yaml")):
        for section, entries in parse_yaml(path.read_text()).items():
            known = merged.setdefault(section, {})
            twice = known.keys() & entries.keys()
            if twice:
                raise ValueError(f"{path.name}: {section} {sorted(twice)} defined before")
            known.update(entries)
    for resource in merged["Resources"].values():
        if resource.get("Type") == "AWS::StepFunctions::StateMachine":
            _put_in_definition(resource["Properties"], machines)
        if resource.get("Type") == "AWS::CloudWatch::Dashboard":
            body = json.dumps(resource["Properties"]["DashboardBody"], separators=(",", ":"))
            resource["Properties"]["DashboardBody"] = {"Fn::Sub": body}
    # Through JSON, so that values from YAML anchors become copies.
    copied: Template = json.loads(json.dumps(merged))
    return copied


def _put_in_definition(properties: Template, machines: Path) -> None:
    """Replace the name of a definition's file with its content, without white space."""
    definition = json.loads((machines / properties["DefinitionString"]).read_text())
    properties["DefinitionString"] = json.dumps(definition, separators=(",", ":"))


def with_code_at(template: Mapping[str, Any], location: str) -> Template:
    """Return the template with the location of the code (s3://bucket/key) in every function."""
    copied: Template = json.loads(json.dumps(template))
    for resource in copied["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            resource["Properties"]["CodeUri"] = location
    return copied
