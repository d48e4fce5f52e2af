"""Images: which one instances start from, and which choices AWS has none for."""

from typing import Any

import pytest

from chalicelib.core.instances.errors import UnusableResourcesError
from chalicelib.core.instances.images import Image, ImageChoice, check_image, choose_image

PATH = "/aws/service/ecs/optimized-ami"


def chosen(
    resources: dict[str, Any] | None = None,
    *families: str,
    arm: bool = False,
    gpus: bool = False,
    template_image: str | None = None,
) -> ImageChoice:
    return choose_image(
        resources or {},
        families=families or ("m5",),
        architecture="arm64" if arm else "x86_64",
        has_gpus=gpus,
        template_image=template_image,
    )


def parameter(name: str) -> ImageChoice:
    return ImageChoice(parameter=f"{PATH}/{name}/recommended/image_id")


def configured(*pairs: tuple[str, str]) -> dict[str, Any]:
    return {
        "ec2Configuration": [
            {"imageType": kind} | ({"imageIdOverride": image} if image else {})
            for kind, image in pairs
        ]
    }


def test_the_default_is_amazon_linux_2023_for_the_architecture() -> None:
    assert chosen() == parameter("amazon-linux-2023")
    assert chosen(None, "m6g", arm=True) == parameter("amazon-linux-2023/arm64")


def test_types_with_gpus_have_the_image_with_drivers() -> None:
    assert chosen(None, "g5", gpus=True) == parameter("amazon-linux-2023/gpu")


@pytest.mark.parametrize(
    ("family", "arm", "gpus", "expected"),
    [
        ("a1", True, False, "amazon-linux-2/arm64"),
        ("p3", False, True, "amazon-linux-2/gpu"),
        ("g3", False, True, "amazon-linux-2/gpu"),
    ],
)
def test_families_that_amazon_linux_2023_does_not_support_have_amazon_linux_2(
    family: str, arm: bool, gpus: bool, expected: str
) -> None:
    assert chosen(None, family, arm=arm, gpus=gpus) == parameter(expected)


def test_a_configuration_is_for_types_with_gpus_or_for_those_without() -> None:
    both = configured(("ECS_AL2", ""), ("ECS_AL2_NVIDIA", ""))
    assert chosen(both) == parameter("amazon-linux-2")
    assert chosen(both, "g5", gpus=True) == parameter("amazon-linux-2/gpu")
    only_cpu = configured(("ECS_AL2", ""))
    assert chosen(only_cpu, "g5", gpus=True) == parameter("amazon-linux-2023/gpu")


def test_an_image_is_taken_from_the_override_then_imageid_then_the_launch_template() -> None:
    override = configured(("ECS_AL2023", "ami-override")) | {"imageId": "ami-old"}
    assert chosen(override, template_image="ami-theirs") == ImageChoice(image_id="ami-override")
    deprecated = {"imageId": "ami-old"}
    assert chosen(deprecated, template_image="ami-theirs") == ImageChoice(image_id="ami-old")
    assert chosen(template_image="ami-theirs") == ImageChoice(image_id="ami-theirs")
    named = chosen(template_image="resolve:ssm:/golden/image")
    assert named == ImageChoice(parameter="/golden/image")


def test_an_image_type_that_does_not_support_the_family_is_refused_with_advice() -> None:
    with pytest.raises(UnusableResourcesError, match="ECS_AL2023_NVIDIA do not support p3"):
        chosen(configured(("ECS_AL2023_NVIDIA", "")), "p3", gpus=True)


def test_gpus_on_arm_need_an_image_of_one_s_own() -> None:
    with pytest.raises(UnusableResourcesError, match="imageIdOverride"):
        chosen(None, "g5g", arm=True, gpus=True)


def test_an_image_of_another_architecture_is_refused_with_both_named() -> None:
    image = Image(image_id="ami-1", architecture="arm64", root_device="/dev/xvda")
    check_image(image, "arm64")
    with pytest.raises(UnusableResourcesError, match=r"ami-1 is for arm64, .* are x86_64"):
        check_image(image, "x86_64")
