"""Gathered events as a store keeps them: whose they are, and why a write of them was refused."""

import hashlib
import json
import zlib
from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Whose bundles: a trigger, and which one of those that had its name."""

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
    """An event as it is kept: its key, and the line that it is in a manifest."""

    key: str
    line: str  # JSON, without a line break

    @property
    def rank(self) -> str:
        return hashlib.sha256(self.key.encode("utf-8", "surrogatepass")).hexdigest()

    @cached_property
    def packed(self) -> bytes:
        """Both, deflated, because a write is paid for by the kilobyte."""
        return zlib.compress(f"{json.dumps(self.key)}\n{self.line}".encode("ascii"))

    @classmethod
    def unpacked(cls, packed: bytes) -> "Item":
        key, _, line = zlib.decompress(packed).decode("ascii").partition("\n")
        return cls(key=json.loads(key), line=line)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """Why a batch was not written: the head had changed, or these of its items were there."""

    head: bool
    items: frozenset[int]
