"""User data: what an instance runs, read back by the standard library's MIME parser."""

import email
import subprocess
from pathlib import Path

import pytest

from chalicelib.core.instances.errors import UnusableResourcesError
from chalicelib.core.instances.user_data import LIMIT_BYTES, joined, joining_script

SCRIPT = joining_script("prod_spot", is_spot=False, has_gpus=False)
THEIRS = """MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="==MYBOUNDARY=="

--==MYBOUNDARY==
Content-Type: text/x-shellscript; charset="us-ascii"

#!/bin/bash
echo first

--==MYBOUNDARY==
Content-Type: text/cloud-config; charset="us-ascii"

#cloud-config
packages: [amazon-efs-utils]

--==MYBOUNDARY==--
"""


def parts(text: str) -> list[tuple[str, str]]:
    """Return (kind, text) of each part of an archive."""
    message = email.message_from_string(text)
    assert message.is_multipart()
    found = []
    for part in message.get_payload():
        assert isinstance(part, email.message.Message)
        found.append((part.get_content_type(), str(part.get_payload()).strip()))
    return found


def settings_of(script: str, tmp_path: Path) -> list[str]:
    """Return what the script adds to the settings of the ECS agent, by running it."""
    written = tmp_path / "ecs.config"
    script = script.replace("/etc/ecs/ecs.config", str(written))
    subprocess.run(["bash", "-c", script], check=True, timeout=10)
    return written.read_text().splitlines()


def test_an_instance_joins_its_cluster(tmp_path: Path) -> None:
    assert settings_of(SCRIPT, tmp_path) == ["ECS_RESERVED_MEMORY=32", "ECS_CLUSTER=prod_spot"]


def test_the_memory_that_its_owner_reserves_on_an_instance_is_left_alone(tmp_path: Path) -> None:
    theirs = "echo 'ECS_RESERVED_MEMORY=512' >> /etc/ecs/ecs.config\n"
    assert settings_of(theirs + SCRIPT, tmp_path) == [
        "ECS_RESERVED_MEMORY=512",
        "ECS_CLUSTER=prod_spot",
    ]


def test_a_spot_instance_drains_when_it_is_interrupted(tmp_path: Path) -> None:
    script = joining_script("prod_spot", is_spot=True, has_gpus=True)
    assert settings_of(script, tmp_path) == [
        "ECS_RESERVED_MEMORY=32",
        "ECS_CLUSTER=prod_spot",
        "ECS_ENABLE_SPOT_INSTANCE_DRAINING=true",
        "ECS_ENABLE_GPU_SUPPORT=true",
    ]


def test_without_a_template_the_script_is_the_only_part() -> None:
    for nothing in (None, "", " \n"):
        assert parts(joined(nothing, SCRIPT)) == [("text/x-shellscript", SCRIPT.strip())]


@pytest.mark.parametrize("line", ["\n", "\r\n"])
def test_the_user_s_parts_are_kept_and_the_script_comes_last(line: str) -> None:
    assert parts(joined(THEIRS.replace("\n", line), SCRIPT)) == [
        ("text/x-shellscript", "#!/bin/bash\necho first"),
        ("text/cloud-config", "#cloud-config\npackages: [amazon-efs-utils]"),
        ("text/x-shellscript", SCRIPT.strip()),
    ]


@pytest.mark.parametrize(
    ("theirs", "kind"),
    [
        ("#!/bin/sh\necho 1\n", "text/x-shellscript"),
        ("#cloud-config\nruncmd: []\n", "text/cloud-config"),
    ],
)
def test_a_plain_script_or_cloud_config_becomes_a_part(theirs: str, kind: str) -> None:
    found = parts(joined(theirs, SCRIPT))
    assert found == [(kind, theirs.strip()), ("text/x-shellscript", SCRIPT.strip())]


@pytest.mark.parametrize(
    ("theirs", "reason"),
    [
        ("<powershell>", "neither a MIME multi-part archive"),
        (THEIRS.replace("--==MYBOUNDARY==--", ""), "without an end"),
        ("#!/bin/sh\n" + "#" * LIMIT_BYTES, "EC2 takes 16384"),
    ],
)
def test_user_data_that_cannot_be_joined_is_refused_with_advice(theirs: str, reason: str) -> None:
    with pytest.raises(UnusableResourcesError, match=reason):
        joined(theirs, SCRIPT)
