"""Makes the locks of this folder from pyproject.toml, emulator.in and lint.in.

    python infra/lock/compile.py PYTHON [PYTHON ...]

Each PYTHON is an interpreter that has pip-tools; give one of every supported minor version. Where
the answers differ between versions, the lock carries an environment marker, so one lock serves all.
`dev` is solved first and constrains `local` and `runtime`: what is tested is what ships. The locks
hold hashes and no addresses; where packages come from is the affair of whoever installs.
"""

import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
# Chalice puts its own runtime into the package; its command-line half must not ship.
NOT_SHIPPED = {"chalice"}
# What lives in environments of its own, because its pins conflict with ours.
APART = ("emulator", "lint")
HEADER = "# Made by infra/lock/compile.py. Do not edit: change {source}, then run it again.\n"

Pins = dict[str, str]


def requirement_name(requirement: str) -> str:
    """The normalised project name at the head of a requirement line."""
    head = re.match(r"[A-Za-z0-9._-]+", requirement)
    if head is None:
        raise SystemExit(f"not a requirement: {requirement!r}")
    return re.sub(r"[-_.]+", "-", head[0]).lower()


def sources() -> dict[str, list[str]]:
    """The requirements of each lock, in the order in which they are to be solved."""
    project = tomllib.loads((FOLDER.parents[1] / "pyproject.toml").read_text())["project"]
    base, extras = project["dependencies"], project["optional-dependencies"]
    return {
        "dev": base + extras["local"] + extras["dev"],
        "local": base + extras["local"] + ["setuptools>=77"],
        "runtime": [line for line in base if requirement_name(line) not in NOT_SHIPPED],
        **{name: (FOLDER / f"{name}.in").read_text().splitlines() for name in APART},
    }


def solve(python: Path, requirements: list[str], constraints: str) -> Pins:
    """What pip-compile answers under one interpreter: each project with its pin and its hashes."""
    with tempfile.TemporaryDirectory() as scratch:
        source, answer = Path(scratch, "source.in"), Path(scratch, "answer.txt")
        Path(scratch, "constraints.txt").write_text(constraints)
        source.write_text("\n".join(["-c constraints.txt", *requirements]) + "\n")
        options = ["--generate-hashes", "--allow-unsafe", "--strip-extras", "--no-header"]
        options += ["--no-emit-index-url", "--no-emit-find-links", "--no-emit-trusted-host"]
        options += ["--no-annotate", "--quiet", "--output-file", str(answer), str(source)]
        subprocess.run([python, "-m", "piptools", "compile", *options], check=True, cwd=scratch)
        text = answer.read_text()
    blocks = re.findall(r"^[A-Za-z0-9].*(?:(?<=\\)\n.*)*", text, re.MULTILINE)
    return {requirement_name(block): block.strip() for block in blocks}


def merge(answers: dict[str, Pins]) -> list[str]:
    """One list of pins for all versions, with a marker on whatever not all of them agree on."""
    merged = []
    for name in sorted({name for pins in answers.values() for name in pins}):
        versions_by_block: dict[str, list[str]] = {}
        for version, pins in answers.items():
            if name in pins:
                versions_by_block.setdefault(pins[name], []).append(version)
        for block, versions in versions_by_block.items():
            if len(versions) == len(answers):
                merged.append(block)
                continue
            marker = " or ".join(f'python_version == "{version}"' for version in versions)
            pin, hashes = block.split(" \\\n", 1)
            if ";" in pin:
                pin, own_marker = (part.strip() for part in pin.split(";", 1))
                marker = f"({own_marker}) and ({marker})"
            merged.append(f"{pin} ; {marker} \\\n{hashes}")
    return merged


def main(pythons: list[str]) -> None:
    """Writes all locks; see the head of this file."""
    ask = "import sys; print('%d.%d' % sys.version_info[:2])"
    versions = {
        subprocess.check_output([python, "-c", ask], text=True).strip(): Path(python).absolute()
        for python in pythons
    }
    constraints = dict.fromkeys(versions, "")
    for lock, requirements in sources().items():
        own = lock not in APART
        answers = {
            version: solve(python, requirements, constraints[version] if own else "")
            for version, python in sorted(versions.items())
        }
        if lock == "dev":
            for version, pins in answers.items():
                lines = [block.split(" \\\n", 1)[0] for block in pins.values()]
                constraints[version] = "\n".join(lines) + "\n"
        source = "pyproject.toml" if own else f"{lock}.in"
        text = HEADER.format(source=source) + "\n".join(merge(answers)) + "\n"
        (FOLDER / f"{lock}.txt").write_text(text)
        print(f"{lock}.txt: {text.count('==')} pins")


if __name__ == "__main__":
    main(sys.argv[1:])
