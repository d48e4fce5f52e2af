"""The cold start of the API function: how long its imports take, compared with `import boto3`.

Both are timed in fresh interpreters: the function on the very archive that is deployed, unpacked,
with nothing else on the path; boto3, which the archive does not hold, as it is installed here.
"""

import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

TRIES = 9
# What the API function has imported and loaded when it has answered its first SubmitJob.
API_FUNCTION = """
import app
from chalicelib.api import operations
from chalicelib.contract import model as contract
from chalicelib.api import http as http_api
from chalicelib.jobs import submit as submission
contract.operation_named("submitjob")
"""
ALONE = "import boto3"
TIMED = "import time; began = time.perf_counter()\n{}\nprint(time.perf_counter() - began)"


@dataclass(frozen=True, slots=True, kw_only=True)
class ColdStart:
    """The best of several tries each, in seconds."""

    api_seconds: float
    boto3_seconds: float


def cold_start(packages: Path) -> ColdStart:
    """Measure the imports in the package that `up` has made in this folder."""
    [archive] = packages.glob("*.zip")
    with tempfile.TemporaryDirectory() as code:
        with zipfile.ZipFile(archive) as packed:
            packed.extractall(code)
        # Measured alternately, so that a busy moment of the machine affects both.
        tries = [
            (_time(API_FUNCTION, code), _time(ALONE, sysconfig.get_path("purelib")))
            for _ in range(TRIES)
        ]
    return ColdStart(
        api_seconds=min(api for api, _ in tries), boto3_seconds=min(alone for _, alone in tries)
    )


def _time(program: str, code: str) -> float:
    # -S leaves every package out that is not in `code`.
    command = [sys.executable, "-S", "-c", TIMED.format(program)]
    environment = {"PYTHONPATH": code, "PYTHONDONTWRITEBYTECODE": "1"}
    printed = subprocess.run(
        command, env=environment, cwd=code, capture_output=True, text=True, check=False
    )
    if printed.returncode != 0:
        raise RuntimeError(f"It cannot be imported: {printed.stderr}")
    return float(printed.stdout)
