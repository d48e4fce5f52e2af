"""A job of the demo: counts words in a source archive, once the file that lists them exists.

Runs in a container: `question.py s3://BUCKET/ARCHIVE s3://BUCKET/QUESTION s3://BUCKET/RESULT`. Its
exit codes are those of sysexits: 75 when the question has not arrived (trying again may help), 65
when it makes no sense (it never will). The job definition's evaluateOnExit rules read them.
"""

import io
import json
import os
import re
import sys
import tarfile
import time

import boto3

PATIENCE_SECONDS = 2.0
DATA_ERROR, TRY_AGAIN = 65, 75


def split_uri(uri: str) -> tuple[str, str]:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key


def await_question(s3, uri: str) -> bytes | None:  # type: ignore[no-untyped-def]
    """Return the question, or None if it does not come in time."""
    bucket, key = split_uri(uri)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            body: bytes = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
            return body
        except s3.exceptions.NoSuchKey:
            if time.monotonic() > deadline:
                return None
            time.sleep(0.2)


def count(archive: bytes, words: list[str]) -> list[tuple[str, int, str]]:
    """Return for each word how often it is in the sources, and where first."""
    pattern = re.compile(r"\b(?:" + "|".join(map(re.escape, words)) + r")\b")
    counts, first = dict.fromkeys(words, 0), dict.fromkeys(words, "")
    with tarfile.open(fileobj=io.BytesIO(archive)) as archived:
        for member in archived:
            source = archived.extractfile(member)
            text = source.read().decode(errors="replace") if source else ""
            for number, line in enumerate(text.splitlines(), start=1):
                for word in pattern.findall(line):
                    counts[word] += 1
                    first[word] = first[word] or f"{member.name}:{number}"
    return [(word, counts[word], first[word]) for word in words]


def main() -> int:
    archive_uri, question_uri, result_uri = sys.argv[1:4]
    print(f"attempt {os.environ['AWS_BATCH_JOB_ATTEMPT']}: what is the question?", flush=True)
    s3 = boto3.client("s3")
    question = await_question(s3, question_uri)
    if question is None:
        print(f"no {question_uri} in {PATIENCE_SECONDS:.0f} s: I give up for now", flush=True)
        return TRY_AGAIN
    try:
        words = question.decode().split()
    except UnicodeDecodeError as error:
        print(f"{question_uri} is no text: {error}", flush=True)
        return DATA_ERROR
    bucket, key = split_uri(archive_uri)
    answer = count(s3.get_object(Bucket=bucket, Key=key)["Body"].read(), words)
    bucket, key = split_uri(result_uri)
    s3.put_object(Bucket=bucket, Key=key, Body=json.dumps(answer).encode())
    print(f"counted {len(words)} words; wrote {result_uri}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
