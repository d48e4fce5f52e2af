"""Machine images: which one the instances of an environment start from.

The order is AWS Batch's (user guide, "AMI selection order"): `imageIdOverride` of the matching
`ec2Configuration`, then `imageId`, then the image of the user's launch template, then the newest
image of the image type, which a public parameter of Systems Manager names.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chalicelib.core.instances.errors import UnusableResourcesError
from chalicelib.core.instances.instance_types import ARM64, X86_64, family_of

_AL2, _AL2_GPU = "ECS_AL2", "ECS_AL2_NVIDIA"
_AL2023, _AL2023_GPU = "ECS_AL2023", "ECS_AL2023_NVIDIA"
_GPU_TYPES = frozenset({_AL2_GPU, _AL2023_GPU})
# API reference, Ec2Configuration: families that Amazon Linux 2023 has no driver or kernel for.
_NOT_ON_AL2023: Mapping[str, tuple[str, ...]] = {_AL2023: ("a1",), _AL2023_GPU: ("p3", "g3")}
# ECS developer guide, "Retrieving Amazon ECS-optimized Linux AMI metadata".
_PARAMETERS: Mapping[tuple[str, str], str] = {
    (_AL2, X86_64): "amazon-linux-2",
    (_AL2, ARM64): "amazon-linux-2/arm64",
    (_AL2_GPU, X86_64): "amazon-linux-2/gpu",
    (_AL2023, X86_64): "amazon-linux-2023",
    (_AL2023, ARM64): "amazon-linux-2023/arm64",
    (_AL2023_GPU, X86_64): "amazon-linux-2023/gpu",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageChoice:
    """An image, by its id or by the parameter that names it: one of the two."""

    image_id: str | None = None
    parameter: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """An image as DescribeImages shows it."""

    image_id: str
    architecture: str
    root_device: str


def choose_image(
    resources: Mapping[str, Any],
    *,
    families: Sequence[str],
    architecture: str,
    has_gpus: bool,
    template_image: str | None,
) -> ImageChoice:
    """Return the image for instances of these families.

    `template_image` is the image of the user's launch template, an id or `resolve:ssm:` with the
    name of a parameter. Raises UnusableResourcesError where AWS has none.
    """
    configuration = _configuration_for(resources.get("ec2Configuration") or (), has_gpus)
    chosen = configuration.get("imageIdOverride") or resources.get("imageId") or template_image
    if chosen:
        prefix, _, parameter = str(chosen).partition("resolve:ssm:")
        return ImageChoice(image_id=prefix) if prefix else ImageChoice(parameter=parameter)
    image_type = str(configuration.get("imageType") or _default_type(families, has_gpus))
    return ImageChoice(parameter=_parameter_of(image_type, architecture, families))


def check_image(image: Image, architecture: str) -> None:
    """Raise UnusableResourcesError for an image of another architecture than its instances'."""
    if image.architecture != architecture:
        raise UnusableResourcesError(
            f"The image {image.image_id} is for {image.architecture}, and the instance types are "
            f"{architecture}. Name an image or instance types of the same architecture."
        )


def _configuration_for(
    configurations: Sequence[Mapping[str, Any]], has_gpus: bool
) -> Mapping[str, Any]:
    """Return the configuration that is meant for types with GPUs, or for those without.

    One that stands alone without GPU types among them is for all.
    """
    for one in configurations:
        if (one["imageType"] in _GPU_TYPES) == has_gpus:
            return one
    if len(configurations) == 1 and not has_gpus:
        return configurations[0]
    return {}


def _default_type(families: Sequence[str], has_gpus: bool) -> str:
    wanted = _AL2023_GPU if has_gpus else _AL2023
    if any(family in _NOT_ON_AL2023[wanted] for family in families):
        return _AL2_GPU if has_gpus else _AL2
    return wanted


def _parameter_of(image_type: str, architecture: str, families: Sequence[str]) -> str:
    excluded = _NOT_ON_AL2023.get(image_type, ())
    refused = sorted({one for one in map(family_of, families) if one in excluded})
    if refused:
        raise UnusableResourcesError(
            f"Images of the type {image_type} do not support {', '.join(refused)}. Choose another "
            "imageType in ec2Configuration, or other instance types."
        )
    if (image_type, architecture) not in _PARAMETERS:
        raise UnusableResourcesError(
            f"AWS provides no image of the type {image_type} for {architecture}. Name an image of "
            "yours in imageIdOverride of ec2Configuration."
        )
    name = _PARAMETERS[image_type, architecture]
    return f"/aws/service/ecs/optimized-ami/{name}/recommended/image_id"
