"""Gathered events as they are stored, and why a write of them was refused."""

import hashlib
import json
import zlib
from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """The owner of bundles: a trigger's name, and its uid among all that had this name."""

    trigger: str
    uid: str

    @property
    def events_lane(self) -> str:
        return f"/events/{self.trigger}#{self.uid}"

    @property
    def bundles_lane(self) -> str:
        return f"/gather/{self.trigger}#{self.uid}"


@dataclass(frozen=True)
class Item:
    """A gathered event: its key, and its line in a manifest."""

    key: str
    line: str  # JSON, without a line break

    @property
    def rank(self) -> str:
        return hashlib.sha256(self.key.encode("utf-8", "surrogatepass")).hexdigest()

    @cached_property
    def packed(self) -> bytes:
        """Key and line, compressed, because a write is paid by the kilobyte."""
        return zlib.compress(f"{json.dumps(self.key)}\n{self.line}".encode("ascii"))

    @classmethod
    def unpacked(cls, packed: bytes) -> "Item":
        key, _, line = zlib.decompress(packed).decode("ascii").partition("\n")
        return cls(key=json.loads(key), line=line)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """Why a batch was not written: the head had changed, or these of its items existed."""

    head: bool
    items: frozenset[int]
