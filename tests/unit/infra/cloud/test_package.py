"""Packages are made of what they should be, and equal sources make equal packages."""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml

from batchyard.cloud import package
from batchyard.cloud.package import make_package
from batchyard.cloud.paths import LOCKS, REPOSITORY

REAL_LIBRARIES = package._libraries


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


def test_it_has_the_models_of_the_services_that_functions_call() -> None:
    source = (REPOSITORY / "chalicelib" / "wiring.py").read_text()
    called = set(re.findall(r'self\._client\(\s*"(\w+)"', source))
    # The tables are opened by PynamoDB, and the API checks requests against the model of Batch.
    assert called | {"batch", "dynamodb"} == package.SERVICES


def test_another_source_makes_another_package(tmp_path: Path) -> None:
    source = tmp_path / "source"
    for folder in ("chalicelib", ".chalice", "statemachines"):
        shutil.copytree(REPOSITORY / folder, source / folder)
    shutil.copy(REPOSITORY / "app.py", source)
    before = make_package(tmp_path / "build", source=source)
    with (source / "chalicelib" / "config.py").open("a") as module:
        module.write("\nCHANGED = True\n")
    assert make_package(tmp_path / "build", source=source).key != before.key


def in_archive(made: package.Package) -> dict[str, bytes]:
    with zipfile.ZipFile(made.archive) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_functions_of_an_account_run_on_one_python_whatever_packages_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = set()
    for own in ("3.11", "3.13"):
        monkeypatch.setattr(package, "OWN_PYTHON", own)
        made = make_package(tmp_path / own, platform=package.AWS_PLATFORM)
        functions = [
            one["Properties"]
            for one in made.template["Resources"].values()
            if one["Type"] == "AWS::Serverless::Function"
        ]
        assert {function["Runtime"] for function in functions} == {"python3.13"}
        keys.add(made.key_of_compiled)
    assert len(keys) == 1


def test_functions_of_a_local_cloud_run_on_its_own_python(tmp_path: Path) -> None:
    made = make_package(tmp_path / "build")
    function = made.template["Resources"]["APIHandler"]["Properties"]
    assert function["Runtime"] == f"python{package.OWN_PYTHON}"
    assert made.is_compiled


def test_without_an_interpreter_of_their_version_functions_have_sources_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bytecode of another version would only make the archive larger."""
    monkeypatch.setattr(package, "interpreter", lambda version: None)
    made = make_package(tmp_path / "none", platform=package.AWS_PLATFORM)
    assert not made.is_compiled
    assert not [name for name in in_archive(made) if name.endswith(".pyc")]
    monkeypatch.setattr(package, "interpreter", lambda version: sys.executable)
    compiled = make_package(tmp_path / "one", platform=package.AWS_PLATFORM)
    assert compiled.is_compiled
    assert compiled.key == made.key_of_compiled
    sources = {n: c for n, c in in_archive(compiled).items() if not n.endswith(".pyc")}
    assert sources == in_archive(made)


def test_bytecode_is_that_of_the_interpreter_that_was_found(tmp_path: Path) -> None:
    (tmp_path / "module.py").write_text("ANSWER = 42\n")
    package._compile(tmp_path, sys.executable)
    (compiled,) = (tmp_path / "__pycache__").iterdir()
    assert compiled.read_bytes()[:4] == importlib.util.MAGIC_NUMBER
    # Python takes it without a look at the source, whose time the archive does not keep.
    assert compiled.read_bytes()[4:8] == b"\1\0\0\0"


def test_a_command_of_the_name_that_is_another_version_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Version managers have such commands: they say that the version is not in use."""
    for name, answer in (("python9.1", "exit 127"), ("python9.2", "echo 3.1")):
        (tmp_path / name).write_text(f"#!/bin/sh\n{answer}\n")
        (tmp_path / name).chmod(0o755)
    (tmp_path / "python9.3").write_text("#!/bin/sh\necho 9.3\n")
    (tmp_path / "python9.3").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert [package.interpreter(f"9.{minor}") for minor in range(4)] == [
        None, None, None, str(tmp_path / "python9.3")
    ]  # fmt: skip
    assert package.interpreter(package.OWN_PYTHON) == sys.executable


def test_libraries_are_those_of_the_functions_python(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[str]] = []

    def install(command: list[str]) -> None:
        asked.append(command)
        data = Path(command[command.index("--target") + 1]) / "botocore" / "data"
        data.mkdir(parents=True)
        (data.parents[1] / "aws_lambda_powertools" / "utilities").mkdir(parents=True)

    monkeypatch.setattr(package, "shared_cache", lambda: tmp_path)
    monkeypatch.setattr(package, "run", install)
    monkeypatch.setattr(package, "_compile", lambda folder, python: None)
    REAL_LIBRARIES(package.AWS_PLATFORM)
    REAL_LIBRARIES(None)
    for_account, for_this_machine = asked
    assert for_account[for_account.index("--platform") + 1] == package.AWS_PLATFORM
    assert for_account[for_account.index("--python-version") + 1] == package.AWS_PYTHON
    assert "--platform" not in for_this_machine


def test_no_library_depends_on_the_python_that_installs_it() -> None:
    """Pip holds markers against the Python that it runs on, not against the one asked for."""
    lock = (LOCKS / "runtime.txt").read_text()
    assert ";" not in "".join(line for line in lock.splitlines() if "==" in line)


OTHER_PYTHONS = [one for one in ("3.12", "3.13") if package.interpreter(one) is not None]


@pytest.mark.skipif(not OTHER_PYTHONS, reason="this machine has one Python only")
def test_another_python_makes_the_same_package(tmp_path: Path, libraries: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from batchyard.cloud import package\n"
        "package._libraries = lambda platform: Path(sys.argv[1])\n"
        "made = package.make_package(Path(sys.argv[2]), platform=package.AWS_PLATFORM)\n"
        "print(package.OWN_PYTHON, made.key_of_compiled)"
    )
    ours = make_package(tmp_path / "ours", platform=package.AWS_PLATFORM)
    paths = [str(REPOSITORY / "infra"), str(Path(yaml.__file__).parents[1])]
    for other in OTHER_PYTHONS:
        python = package.interpreter(other)
        assert python is not None
        answer = subprocess.run(
            [python, "-c", program, str(libraries), str(tmp_path / other)],
            env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
            capture_output=True,
            text=True,
            check=True,
        )
        assert answer.stdout.split() == [other, ours.key_of_compiled]


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
