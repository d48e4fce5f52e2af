"""The table of instance types, against the facts that moto has from EC2."""

import gzip
import json
from importlib.resources import files
from typing import Any

import pytest

from batchyard.cloud.fleet.instance_types import InstanceType, matching, table
from batchyard.cloud.fleet.plugs import Refused
from batchyard.cloud.fleet.plugs.ec2 import page_of

BY_DEFAULT = ["m6i", "c6i", "r6i", "c7i", "m6g", "c6g", "r6g", "c7g"]
WITH_GPUS = ["g4dn", "g5", "g6", "p3", "p4d", "p5"]
# Types that EC2 has and moto's list lacks; their facts are from EC2's own pages.
NOT_IN_MOTO = {"p3.2xlarge", "p3.8xlarge", "p3.16xlarge"}


@pytest.fixture(scope="module")
def facts() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        gzip.decompress(files("moto").joinpath("ec2/resources/instance_types.json.gz").read_bytes())
    )
    return found


@pytest.mark.parametrize("family", BY_DEFAULT + WITH_GPUS)
def test_the_families_that_aws_batch_chooses_are_there(family: str) -> None:
    assert matching([f"{family}.*"])


def test_every_type_has_the_facts_of_ec2(facts: dict[str, Any]) -> None:
    for one in table().values():
        if one.name in NOT_IN_MOTO:
            continue
        known = facts[one.name]
        assert one.vcpus == known["VCpuInfo"]["DefaultVCpus"], one
        assert one.memory_mib == known["MemoryInfo"]["SizeInMiB"], one
        assert one.architecture in known["ProcessorInfo"]["SupportedArchitectures"], one
        gpus = known.get("GpuInfo", {}).get("Gpus", [])
        assert one.gpus == sum(gpu["Count"] for gpu in gpus), one
        assert one.is_metal == known["BareMetal"], one


def test_prices_rise_with_size_and_with_gpus() -> None:
    large, xlarge, gpu = (table()[name] for name in ("m6i.large", "m6i.xlarge", "g5.xlarge"))
    assert large.price_index < xlarge.price_index < gpu.price_index


def every_page(**request: Any) -> list[InstanceType]:
    found: list[InstanceType] = []
    token: str | None = ""
    while token is not None:
        page, token = page_of([], {}, max_results="7", next_token=token)
        found += page
    return found


def test_pages_together_are_the_whole_table() -> None:
    assert every_page() == list(table().values())


@pytest.mark.parametrize(
    ("names", "filters", "max_results", "next_token", "code"),
    [
        (["m6i.huge"], {}, "", "", "InvalidInstanceType"),
        (["m6i.large"], {}, "10", "", "InvalidParameterCombination"),
        ([], {}, "4", "", "InvalidParameterValue"),
        ([], {"colour": ["red"]}, "", "", "InvalidParameterValue"),
        ([], {}, "", "nonsense", "InvalidNextToken"),
    ],
)
def test_what_ec2_refuses_is_refused(
    names: list[str], filters: dict[str, list[str]], max_results: str, next_token: str, code: str
) -> None:
    with pytest.raises(Refused) as refused:
        page_of(names, filters, max_results=max_results, next_token=next_token)
    assert refused.value.code == code
