"""Wiring: what a process makes on first use, and what tests replace."""

import inspect
import time
import uuid
from typing import Any

import pytest

from chalicelib import wiring
from chalicelib.config import Settings
from chalicelib.wiring import Ports
from tests.support.settings import settings_of
from tests.support.world import World
from tests.support.world_ports import WorldPorts


def test_the_clock_returns_milliseconds_since_the_epoch() -> None:
    before = int(time.time() * 1000)
    now_ms = Ports(settings_of()).now_ms()
    assert before <= now_ms <= int(time.time() * 1000) + 1


def test_every_id_is_a_new_uuid() -> None:
    ports = Ports(settings_of())
    first, second = ports.new_id(), ports.new_id()
    assert first != second
    assert str(uuid.UUID(first)) == first


def test_a_pause_grows_with_the_number_of_tries(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    monkeypatch.setattr("time.sleep", waited.append)
    monkeypatch.setattr("random.uniform", lambda least, most: most)
    ports = Ports(settings_of())
    for number in (1, 2, 8):
        ports.pause(number)
    assert waited == [0.02, 0.04, 0.32]


def test_stores_and_clients_are_made_once(world: World) -> None:
    stores = ("jobs", "lanes", "catalog", "bundles", "overlap_locks", "firings")
    clients = ("ec2", "ecs", "events", "manifests", "messages", "dead_letters", "workflows")
    for name in (*stores, *clients):
        assert getattr(world.ports, name) is getattr(world.ports, name)


def test_clients_are_made_for_the_region_of_the_stack(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, dict[str, Any]]] = []

    class Session:
        def create_client(self, service: str, **options: Any) -> object:
            asked.append((service, options))
            return object()

    monkeypatch.setattr("botocore.session.get_session", Session)
    ports = Ports(settings_of())
    for name in ("ec2", "ecs", "events", "manifests", "messages", "workflows"):
        getattr(ports, name)
    services = ["ec2", "ecs", "events", "s3", "sqs", "stepfunctions"]
    assert [service for service, _ in asked] == services
    assert {options["region_name"] for _, options in asked} == {"us-east-1"}


def test_iam_is_asked_in_less_time_than_a_request_has(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two questions, of the role and of its policies, in the 29 seconds of API Gateway."""
    made: list[tuple[str, dict[str, Any]]] = []

    class Session:
        def create_client(self, service: str, **options: Any) -> object:
            made.append((service, options))
            return object()

    monkeypatch.setattr("botocore.session.get_session", Session)
    ports = Ports(settings_of())
    assert made == []  # no client is made until somebody asks
    assert ports.permissions is ports.permissions
    [(service, options)] = made
    config = options["config"]
    tries = config.retries["total_max_attempts"]
    longest = 2 * tries * (config.connect_timeout + config.read_timeout)
    assert (service, options["region_name"]) == ("iam", "us-east-1")
    assert tries > 1
    assert longest < 20


def test_the_ports_of_tests_replace_only_members_of_ports() -> None:
    for name, member in vars(WorldPorts).items():
        if inspect.isfunction(member) and name != "__init__":
            assert inspect.signature(member) == inspect.signature(getattr(Ports, name)), name


def test_the_ports_of_a_process_are_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    wiring.ports.cache_clear()
    monkeypatch.setattr(Settings, "from_env", settings_of)
    assert wiring.ports() is wiring.ports()
    wiring.ports.cache_clear()
