"""A job of the demo: reads every module of a source archive and writes what it found.

Runs in a container: `survey.py s3://BUCKET/ARCHIVE s3://BUCKET/RESULT`. Knows nothing of Batchyard;
where S3 is, and as whom to ask, comes from the environment, as in any container on ECS.
"""

import ast
import collections
import io
import json
import sys
import tarfile
from typing import Any

import boto3

REPORT_EVERY = 150
BEST = 8


def split_uri(uri: str) -> tuple[str, str]:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key


def imports_of(tree: ast.AST) -> set[str]:
    """Return the top-level names of all modules that this one imports, anywhere in it."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.partition(".")[0])
    return names


def functions_of(tree: ast.AST) -> list[tuple[int, str]]:
    """Return every function of the module with its length in lines."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return [
        ((node.end_lineno or node.lineno) - node.lineno + 1, node.name)
        for node in ast.walk(tree)
        if isinstance(node, kinds)
    ]


def survey(archive: bytes) -> dict[str, Any]:
    """Return the counts of the archive, how many modules import each, and the longest functions."""
    lines = modules = functions = 0
    importers: collections.Counter[str] = collections.Counter()
    longest: list[tuple[int, str, str]] = []
    with tarfile.open(fileobj=io.BytesIO(archive)) as archived:
        for member in archived:
            source = archived.extractfile(member)
            if source is None:
                continue
            text = source.read()
            tree = ast.parse(text)
            found = functions_of(tree)
            modules, lines, functions = (
                modules + 1,
                lines + text.count(b"\n"),
                functions + len(found),
            )
            importers.update(imports_of(tree))
            longest = sorted([*longest, *((n, f, member.name) for n, f in found)])[-BEST:]
            if modules % REPORT_EVERY == 0:
                print(f"{modules} modules, {lines:,} lines read; now {member.name}", flush=True)
    return {
        "modules": modules,
        "lines": lines,
        "functions": functions,
        "importers": dict(importers),
        "longest_functions": longest[::-1],
    }


def summary_of(found: dict[str, Any]) -> dict[str, Any]:
    """Return the same with only the most imported modules."""
    most = sorted(found["importers"].items(), key=lambda item: (-item[1], item[0]))
    rest = {name: value for name, value in found.items() if name != "importers"}
    return {**rest, "most_imported": most[:BEST]}


def main() -> int:
    archive_uri, result_uri = sys.argv[1:3]
    s3 = boto3.client("s3")
    bucket, key = split_uri(archive_uri)
    archive = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    print(f"{archive_uri}: {len(archive):,} bytes", flush=True)
    result = summary_of(survey(archive))
    bucket, key = split_uri(result_uri)
    s3.put_object(Bucket=bucket, Key=key, Body=json.dumps(result).encode())
    print(f"{result['modules']} modules, {result['lines']:,} lines; wrote {result_uri}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
