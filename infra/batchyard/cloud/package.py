"""Packaging: one archive of code, and the template that uses it.

Chalice generates the functions and the API from app.py; the files of `infra/stack` are merged over
that. The libraries come from the hashed runtime lock, trimmed to what the functions use and
compiled, which makes cold starts short. Equal sources give a package of the same name. `deploy`
uploads it; nothing here calls AWS.

In an account the functions run on one version of Python, whichever one packages them.
"""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from batchyard.cloud.paths import LOCKS, REPOSITORY, STACK, digest, shared_cache
from batchyard.cloud.template import Template, load_stack

AWS_PLATFORM = "manylinux2014_aarch64"
# The Python of the functions in an account: Lambda keeps it until June 2029.
AWS_PYTHON = "3.13"
OWN_PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
# The services that the functions call, and `batch`, whose model is the contract of the API.
SERVICES = frozenset(
    {
        "autoscaling",
        "batch",
        "dynamodb",
        "ec2",
        "ecs",
        "events",
        "iam",
        "s3",
        "scheduler",
        "sqs",
        "ssm",
        "stepfunctions",
    }
)
# Files that no function imports, two thirds of all. Each file of the package makes cold starts, and
# the workers of the local cloud, slower.
UNUSED = (
    "bin",
    "boto3",
    "s3transfer",
    "aws_lambda_powertools/event_handler",
    "aws_lambda_powertools/metrics/provider/datadog",
    "dateutil/zoneinfo",
)
# The only utility that Powertools' logger imports.
USED_UTILITIES = frozenset({"__init__.py", "jmespath_utils"})
# Where functions find their modules; tracebacks name it, not the folder of the build.
TASK_ROOT = "/var/task"
ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)
# pip may install everything at first use, over a slow network.
TOOL_PATIENCE_SECONDS = 600.0
LOCK_PATIENCE_SECONDS = 600.0
LOCK_POLL_SECONDS = 0.05


class PackageError(Exception):
    """A tool that packaging uses failed or did not end; the message has its output."""


class LockedError(Exception):
    """Another process held a lock for too long; the message says which and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """The archive, and a template without the archive's location.

    The key is made from sources and libraries. An archive without bytecode, which starts slower,
    has a key of its own, and `key_of_compiled` is that of the same sources with bytecode.
    """

    template: Template
    archive: Path
    key: str
    key_of_compiled: str

    @property
    def is_compiled(self) -> bool:
        return self.key == self.key_of_compiled


def make_package(build: Path, *, source: Path = REPOSITORY, platform: str | None = None) -> Package:
    """Package the application at `source` for this platform (None: the machine's own).

    `build` is emptied first and holds the archive afterwards. Bytecode needs an interpreter of
    the functions' version; where this machine has none, the archive holds sources only.
    """
    version = AWS_PYTHON if platform else OWN_PYTHON
    python = interpreter(version)
    shutil.rmtree(build, ignore_errors=True)
    build.mkdir(parents=True)
    libraries = _libraries(platform)
    template = make_template(build, source=source, python=version)
    code = build / "code"
    with zipfile.ZipFile(build / "out" / "deployment.zip") as made_by_chalice:
        made_by_chalice.extractall(code)
    if python is not None:
        _compile(code, python)
    files = dict(sorted((_files_of(libraries) | _files_of(code)).items()))
    name = _name_of(files)
    key = f"{name}.zip" if python is not None else f"{name}-sources.zip"
    archive = build / key
    _write_archive(archive, files)
    return Package(template=template, archive=archive, key=key, key_of_compiled=f"{name}.zip")


def make_template(build: Path, *, source: Path = REPOSITORY, python: str = AWS_PYTHON) -> Template:
    """Return the template of functions that run on this version of Python.

    `build`/out then has Chalice's archive of app.py and chalicelib.
    """
    project = build / "project"
    ignore = shutil.ignore_patterns("__pycache__")
    for folder in ("chalicelib", ".chalice"):
        shutil.copytree(source / folder, project / folder, ignore=ignore)
    shutil.copy(source / "app.py", project)
    (project / "requirements.txt").touch()
    ours = load_stack(STACK, source / "statemachines")
    (build / "stack.json").write_text(json.dumps(ours))
    chalice = [sys.executable, "-c", "import sys, chalice.cli; sys.exit(chalice.cli.main())"]
    merging = ["--merge-template", str(build / "stack.json")]
    run(
        [*chalice, "package", "--stage", "main", *merging, str(build / "out")],
        cwd=project,
        # Chalice requires a region even where it uses none.
        env={**os.environ, "AWS_DEFAULT_REGION": "us-east-1"},
    )
    template: Template = json.loads((build / "out" / "sam.json").read_text())
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            # Chalice takes the version that it runs on itself.
            resource["Properties"]["Runtime"] = f"python{python}"
    return template


def interpreter(version: str) -> str | None:
    """Return a Python of this minor version: our own, or one on the path; None without one."""
    if version == OWN_PYTHON:
        return sys.executable
    found = shutil.which(f"python{version}")
    if found is None:
        return None
    # A version manager may have a command of this name that only says that it is not in use.
    ask = [found, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
    try:
        answer = subprocess.run(ask, capture_output=True, text=True, check=False, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return found if answer.stdout.strip() == version else None


def _libraries(platform: str | None) -> Path:
    """Return the folder of the runtime libraries, made once per lock, Python and platform."""
    lock = LOCKS / "runtime.txt"
    version = AWS_PYTHON if platform else OWN_PYTHON
    python = interpreter(version)
    traits = [version, python is not None, platform, sorted(SERVICES)]
    traits += [Path(__file__).read_text(), lock.read_text()]
    folder = shared_cache() / f"libraries-{digest(json.dumps(traits).encode())}"
    with held(folder.with_suffix(".lock")):
        if folder.exists():
            return folder
        fresh = folder.with_suffix(".new")
        shutil.rmtree(fresh, ignore_errors=True)
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-compile", "--no-deps"]
        command += ["--require-hashes", "--only-binary=:all:", "--target", str(fresh)]
        if platform is not None:
            command += ["--platform", platform, "--python-version", version]
        run([*command, "-r", str(lock)])
        _trim(fresh)
        if python is not None:
            _compile(fresh, python)
        fresh.rename(folder)
    return folder


def _trim(libraries: Path) -> None:
    """Remove what no function reads: other services, unused parts of libraries, metadata."""
    for model in (libraries / "botocore" / "data").iterdir():
        if model.is_dir() and model.name not in SERVICES:
            shutil.rmtree(model)
        elif model.is_dir():
            # A client takes the newest version of its service.
            for older in sorted(path for path in model.iterdir() if path.is_dir())[:-1]:
                shutil.rmtree(older)
    unused = [libraries / name for name in UNUSED]
    unused += [
        path
        for path in (libraries / "aws_lambda_powertools" / "utilities").iterdir()
        if path.name not in USED_UTILITIES
    ]
    for path in unused:
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    for folder in libraries.glob("*.dist-info"):
        for path in folder.iterdir():
            # Libraries may read their own version; nothing reads the rest.
            if path.name != "METADATA":
                shutil.rmtree(path) if path.is_dir() else path.unlink()


def _compile(folder: Path, python: str) -> None:
    """Compile reproducibly, into files that Python does not compare with their sources."""
    options = ["-q", "-s", str(folder), "-p", TASK_ROOT, "--invalidation-mode", "unchecked-hash"]
    run([python, "-m", "compileall", *options, str(folder)])


def _files_of(folder: Path) -> dict[str, Path]:
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path for path in paths}


def _name_of(files: dict[str, Path]) -> str:
    """Return a name made from the archive's sources, whatever compresses or compiles them."""
    whole = hashlib.sha256()
    for name, path in files.items():
        if path.suffix == ".pyc":
            continue
        whole.update(f"{name}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return whole.hexdigest()[:32]


def _write_archive(archive: Path, files: dict[str, Path]) -> None:
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, path in files.items():
            entry = zipfile.ZipInfo(name, ZIP_EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            packed.writestr(entry, path.read_bytes())


def run(command: list[str], *, cwd: Path | None = None, env: dict[str, str] | None = None) -> None:
    """Run a tool; raises PackageError if it fails, or has not ended after TOOL_PATIENCE_SECONDS."""
    shown = f"{' '.join(command[:4])} ..."
    try:
        done = subprocess.run(
            command,
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=TOOL_PATIENCE_SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        raise PackageError(
            f"{shown} had not ended after {error.timeout:.0f} s and was stopped. Run it again; if "
            "it installs packages, check first that this machine reaches the package index."
        ) from error
    if done.returncode != 0:
        raise PackageError(f"{shown}: {done.stderr or done.stdout}".strip())


@contextmanager
def held(lock: Path) -> Iterator[None]:
    """Hold the lock while the block lasts; other processes wait for it.

    Raises LockedError if another process holds it for longer than LOCK_PATIENCE_SECONDS.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + LOCK_PATIENCE_SECONDS
    with lock.open("w") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() >= deadline:
                    raise LockedError(
                        f"Another batchyard command has used {lock.parent} for "
                        f"{LOCK_PATIENCE_SECONDS:.0f} s. Wait until it ends, or end it; then try "
                        "again."
                    ) from error
            time.sleep(LOCK_POLL_SECONDS)
        yield
