"""Words that the project does not use, each with the word to use instead.

They are looked for in the words of identifiers (snake_case and CamelCase), in docstrings, comments
and strings of every Python file, and in the text of the other files that people read. A word that
belongs to somebody else, such as a function of the standard library, is an exception with a reason.
"""

import ast
import io
import re
import tokenize
from collections.abc import Iterator

import pytest

from tests.style.source import Module, modules
from tests.support.stack import ROOT

INSTEAD = {
    "door": "entry point, handler",
    "tell": "publish, notify, record, report, see",
    "told": "published, notified, recorded, reported, seen",
    "hear": "see, receive",
    "heard": "seen, received",
    "mend": "repair, correct",
    "stray": "orphan (task)",
    "walk": "continuation",
    "claim": "overlap lock",
    "incarnation": "uid",
    "neighbour": "scheduling domain",
    "neighbourhood": "scheduling domain",
    "gang": "multi-node job",
    "crew": "driver",
    "room": "capacity limit",
    "settle": "reconcile",
    "standing": "current",
}
FORMS = {
    form: word
    for word in INSTEAD
    for form in (
        word,
        f"{word}s",
        f"{word}ed",
        f"{word}ing",
        f"{word.removesuffix('e')}ed",
        f"{word.removesuffix('e')}ing",
    )
}
WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
# `Batch` is the service; a child range must not be named after it.
CHILD_RANGE = re.compile(r"\b(BatchRow|batch_rows?|child_batch(es)?)\b")
ROWLESS_CHILD = re.compile(r"\bchild(ren)? (\w+ ){0,3}(without a|(has|have|had|with) no) row\b")

# Words of others: taken out of the text before it is searched.
EXCEPTIONS = {
    r"\b(ast|os|path|ROOT)\.walk\b": "functions of the standard library",
    r"(?<![\w-])(jwt|JWT)[ _.]claims?\b": "the term of the JWT standard",
}
TEXTS = (
    "statemachines/*.asl.json",
    "infra/stack/*.yaml",
    "infra/docs/**/*.md",
    "infra/decisions/*.md",
    "README.md",
    "Makefile",
)
THIS = "tests/style/test_words.py"


def banned_in(text: str) -> list[str]:
    """Return the banned words of a text, in order."""
    for pattern in EXCEPTIONS:
        text = re.sub(pattern, "", text)
    found = [word.lower() for word in WORD.findall(text) if word.lower() in FORMS]
    found += [match[0] for match in CHILD_RANGE.finditer(text)]
    return found + [match[0] for match in ROWLESS_CHILD.finditer(text)]


def tokens_of(module: Module) -> Iterator[tuple[int, str]]:
    """Yield (line, text) of each identifier, comment and string; f-strings by their source."""
    called = {
        node.lineno: f"{ast.unparse(node)}"
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Attribute) and node.attr == "walk"
    }
    for token in tokenize.generate_tokens(io.StringIO(module.text).readline):
        if token.type == tokenize.NAME and token.string == "walk":
            yield token.start[0], called.get(token.start[0], token.string)
        elif token.type not in {tokenize.OP, tokenize.NUMBER, tokenize.NL, tokenize.NEWLINE}:
            yield token.start[0], token.string


@pytest.mark.parametrize("module", [m for m in modules() if m.path != THIS], ids=lambda m: m.path)
def test_a_python_file_uses_the_words_of_the_project(module: Module) -> None:
    found = [
        f"{module.path}:{line}: {word}"
        for line, text in tokens_of(module)
        for word in banned_in(text)
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "path", sorted({str(p.relative_to(ROOT)) for text in TEXTS for p in ROOT.glob(text)})
)
def test_a_text_uses_the_words_of_the_project(path: str) -> None:
    lines = (ROOT / path).read_text().splitlines()
    found = [
        f"{path}:{number}: {word}"
        for number, line in enumerate(lines, 1)
        for word in banned_in(line)
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "text",
    ["doors", "OldDoor", "is_told", "settling", "HEARD", "a child that has no row", "batch_row"],
)
def test_a_banned_word_is_found(text: str) -> None:
    assert banned_in(text)


@pytest.mark.parametrize(
    "text", ["AWS Batch", "World", "outstanding", "ast.walk(tree)", "job_queue", "a job has no row"]
)
def test_other_words_are_allowed(text: str) -> None:
    assert not banned_in(text)
