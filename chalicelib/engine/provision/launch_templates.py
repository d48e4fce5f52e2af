"""Provision the launch templates of an environment: one for each override, with GPUs and without.

A version is known by its description, a digest of what it says: the same data make no new version.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from chalicelib.core.instances.errors import UnusableResourcesError
from chalicelib.core.instances.images import Image, ImageChoice, check_image, choose_image
from chalicelib.core.instances.instance_types import InstanceType
from chalicelib.core.instances.launch_templates import (
    TemplateData,
    TemplateVersion,
    Variant,
    digest_of,
    template_data,
    template_reference,
    variant_of,
)
from chalicelib.core.instances.names import STACK_TAG, template_name
from chalicelib.core.instances.user_data import joining_script
from chalicelib.ports import PassingError

if TYPE_CHECKING:
    from typing import Protocol

    from chalicelib.core.resources.compute_environment import ComputeEnvironment
    from chalicelib.ports import HasEc2, HasParameters, HasSettings

    class LaunchTemplatesPorts(HasEc2, HasParameters, HasSettings, Protocol):
        """What this module asks of the outside world."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateTask:
    """The templates to provide: for the `types` of an environment in its cluster.

    `images` are those that its parameters named before, and stay until the user asks for the latest
    ones. `keep` leaves templates that exist as they are: a scaling update replaces no instance.
    """

    environment: ComputeEnvironment
    cluster: str
    types: Sequence[InstanceType]
    is_spot: bool
    images: Mapping[str, str]
    keep: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Templates:
    """The template that instances of each type start from, and the image of each parameter."""

    versions: Mapping[str, TemplateVersion]
    images: Mapping[str, str]


def ensure_templates(task: TemplateTask, ports: LaunchTemplatesPorts) -> Templates:
    """Create the templates, or a new version of those that differ; return what there is then.

    Raises UnusableResourcesError where an image or the user's template does not exist or fit.
    """
    theirs = task.environment.resources.get("launchTemplate")
    by_variant: dict[Variant, list[InstanceType]] = {}
    for one in task.types:
        by_variant.setdefault(variant_of(one, theirs), []).append(one)
    images = dict(task.images)
    versions: dict[str, TemplateVersion] = {}
    for variant, types in by_variant.items():
        version = _ensure(task, variant, types, images, ports)
        versions |= {one.name: version for one in types}
    return Templates(versions=versions, images=images)


def _ensure(
    task: TemplateTask,
    variant: Variant,
    types: Sequence[InstanceType],
    images: dict[str, str],
    ports: LaunchTemplatesPorts,
) -> TemplateVersion:
    name = template_name(task.cluster, variant.number)
    found = ports.ec2.find_template(name)
    if found is not None and task.keep:
        return found[0]
    data = _data_of(task, variant, types, images, ports)
    digest = digest_of(data)
    if found is None:
        tags = {**task.environment.cluster_tags, STACK_TAG: ports.settings.stack}
        ports.ec2.create_template(name, data, digest, tags)
    elif found[1] != digest:
        ports.ec2.create_template_version(name, data, digest)
    else:
        return found[0]
    made = ports.ec2.find_template(name)
    if made is None or made[1] != digest:
        raise PassingError(f"EC2 does not show the launch template {name} yet")
    return made[0]


def _data_of(
    task: TemplateTask,
    variant: Variant,
    types: Sequence[InstanceType],
    images: dict[str, str],
    ports: LaunchTemplatesPorts,
) -> dict[str, Any]:
    resources = task.environment.resources
    theirs = _their_data(resources.get("launchTemplate"), variant, ports)
    choice = choose_image(
        resources,
        families=sorted({one.family for one in types}),
        architecture=types[0].architecture,
        has_gpus=variant.has_gpus,
        template_image=(theirs or {}).get("ImageId"),
    )
    latest = bool(resources.get("updateToLatestImageVersion"))
    image = _find_image(choice, images, ports, latest=latest)
    check_image(image, types[0].architecture)
    script = joining_script(task.cluster, is_spot=task.is_spot, has_gpus=variant.has_gpus)
    return template_data(
        theirs,
        resources=resources,
        image=image,
        script=script,
        tags=task.environment.cluster_tags,
    )


def _their_data(
    launch_template: Mapping[str, Any] | None, variant: Variant, ports: HasEc2
) -> TemplateData | None:
    reference = template_reference(launch_template, variant)
    if reference is None:
        return None
    data = ports.ec2.find_template_data(reference)
    if data is None:
        name = reference.get("LaunchTemplateId") or reference.get("LaunchTemplateName")
        raise UnusableResourcesError(
            f"The launch template {name} has no version {reference['Versions'][0]}, or does not "
            "exist. Correct launchTemplate."
        )
    return data


def _find_image(
    choice: ImageChoice, images: dict[str, str], ports: LaunchTemplatesPorts, *, latest: bool
) -> Image:
    """Return the image; `images` gets the one that its parameter names, if that is asked for."""
    image_id = choice.image_id
    if choice.parameter is not None:
        if latest or choice.parameter not in images:
            named = ports.parameters.find(choice.parameter)
            if named is None:
                raise UnusableResourcesError(
                    f"The Region has no parameter {choice.parameter}, which would name the image. "
                    "Name an image of yours in imageIdOverride of ec2Configuration."
                )
            images[choice.parameter] = named
        image_id = images[choice.parameter]
    image = ports.ec2.find_image(str(image_id))
    if image is None:
        raise UnusableResourcesError(
            f"The image {image_id} does not exist, or this account may not use it. Name another."
        )
    return image
