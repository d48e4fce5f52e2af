"""Packages are made of what they should be, and equal sources make equal packages."""

import json
import shutil
import sys
import zipfile
from pathlib import Path

import pytest

from batchyard.cloud import package
from batchyard.cloud.package import make_package
from batchyard.cloud.paths import REPOSITORY


@pytest.fixture(autouse=True)
def libraries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder of libraries that need no installation."""
    folder = tmp_path / "libraries"
    (folder / "somelib").mkdir(parents=True)
    (folder / "somelib" / "__init__.py").write_text("ANSWER = 42\n")
    monkeypatch.setattr(package, "_libraries", lambda platform: folder)
    return folder


def test_equal_sources_make_equal_packages(tmp_path: Path) -> None:
    first = make_package(tmp_path / "one")
    second = make_package(tmp_path / "two")
    assert first.key == second.key
    assert first.archive.read_bytes() == second.archive.read_bytes()
    assert first.template == second.template


def test_the_archive_holds_app_chalicelib_and_libraries(tmp_path: Path) -> None:
    made = make_package(tmp_path / "build")
    with zipfile.ZipFile(made.archive) as archive:
        names = archive.namelist()
    assert {"app.py", "chalicelib/config.py", "chalice/app.py", "somelib/__init__.py"} <= set(names)
    assert names == sorted(names)
    # Compiled before it is shipped: a function's own folder cannot be written to.
    assert any(name.startswith("chalicelib/__pycache__/config.") for name in names)


def test_another_source_makes_another_package(tmp_path: Path) -> None:
    source = tmp_path / "source"
    for folder in ("chalicelib", ".chalice", "statemachines"):
        shutil.copytree(REPOSITORY / folder, source / folder)
    shutil.copy(REPOSITORY / "app.py", source)
    before = make_package(tmp_path / "build", source=source)
    with (source / "chalicelib" / "config.py").open("a") as module:
        module.write("\nCHANGED = True\n")
    assert make_package(tmp_path / "build", source=source).key != before.key


def test_the_error_of_a_tool_that_fails_has_its_output(tmp_path: Path) -> None:
    source = tmp_path / "source"
    for folder in ("chalicelib", ".chalice", "statemachines"):
        shutil.copytree(REPOSITORY / folder, source / folder)
    (source / "app.py").write_text("raise RuntimeError('no handlers today')\n")
    with pytest.raises(package.PackageError, match="no handlers today"):
        make_package(tmp_path / "build", source=source)


def test_a_tool_that_does_not_end_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(package, "TOOL_PATIENCE_SECONDS", 0.1)
    with pytest.raises(package.PackageError, match="had not ended after 0 s"):
        package.run([sys.executable, "-c", "import time; time.sleep(60)"])


def test_a_lock_that_another_command_keeps_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(package, "LOCK_PATIENCE_SECONDS", 0.0)
    lock = tmp_path / "cloud" / "lock"
    with (
        package.held(lock),
        pytest.raises(package.LockedError, match=f"has used {lock.parent}"),
        package.held(lock),
    ):
        pytest.fail("two commands held the lock")
    with package.held(lock):
        pass


def test_files_that_no_function_reads_are_removed(tmp_path: Path) -> None:
    for name in (
        "botocore/data/batch/service.json",
        "botocore/data/ec2/2015-10-01/service-2.json.gz",
        "botocore/data/ec2/2016-11-15/service-2.json.gz",
        "botocore/data/workmail/service.json",
        "botocore/data/endpoints.json",
        "boto3/session.py",
        "aws_lambda_powertools/event_handler/api_gateway.py",
        "aws_lambda_powertools/utilities/__init__.py",
        "aws_lambda_powertools/utilities/jmespath_utils/__init__.py",
        "aws_lambda_powertools/utilities/parser/__init__.py",
        "some-1.0.dist-info/METADATA",
        "some-1.0.dist-info/RECORD",
    ):
        (tmp_path / "trimmed" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "trimmed" / name).touch()
    package._trim(tmp_path / "trimmed")
    left = {
        path.relative_to(tmp_path / "trimmed").as_posix()
        for path in (tmp_path / "trimmed").rglob("*")
        if path.is_file()
    }
    assert left == {
        "botocore/data/batch/service.json",
        "botocore/data/ec2/2016-11-15/service-2.json.gz",
        "botocore/data/endpoints.json",
        "aws_lambda_powertools/utilities/__init__.py",
        "aws_lambda_powertools/utilities/jmespath_utils/__init__.py",
        "some-1.0.dist-info/METADATA",
    }


def test_the_platform_of_the_libraries_is_the_functions_own() -> None:
    config = json.loads((REPOSITORY / ".chalice" / "config.json").read_text())
    machine = {"arm64": "aarch64", "x86_64": "x86_64"}[config["lambda_architecture"]]
    assert package.AWS_PLATFORM.endswith(machine)
