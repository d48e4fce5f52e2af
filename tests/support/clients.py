"""The root of the AWS clients that stand in for boto3's.

Every call is checked against botocore's own model of the service, told to a hook (which may end the
process there, or refuse), and then answered by the subclass's method of the call's name.
"""

from collections.abc import Callable, Mapping
from copy import deepcopy
from functools import lru_cache
from typing import Any, ClassVar

from botocore import xform_name
from botocore.exceptions import ClientError
from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.validate import ParamValidator

OnCall = Callable[[str], None]  # given "<service>.<Operation>" before the call has any effect


@lru_cache(maxsize=8)
def service_model(service: str) -> ServiceModel:
    return ServiceModel(Loader().load_service_model(service, "service-2"), service_name=service)


@lru_cache(maxsize=8)
def _operations(service: str) -> Mapping[str, str]:
    return {xform_name(name): name for name in service_model(service).operation_names}


class FakeClient:
    """Answers like a boto3 client. A subclass has a method `do_<call>(params)` for each call."""

    service: ClassVar[str]

    def __init__(self, now_ms: Callable[[], int], on_call: OnCall) -> None:
        self.now_ms = now_ms
        self.on_call = on_call

    def __getattr__(self, name: str) -> Callable[..., dict[str, Any]]:
        if name.startswith("_") or name not in _operations(self.service):
            raise AttributeError(f"{self.service} has no call {name}")

        def call(**params: Any) -> dict[str, Any]:
            return self.answer(_operations(self.service)[name], params)

        return call

    def answer(self, operation: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """Carry out one call; raises botocore's errors for a call that AWS would refuse."""
        shape = service_model(self.service).operation_model(operation).input_shape
        assert shape is not None, f"{operation} takes no parameters"
        problems = ParamValidator().validate(dict(params), shape)
        if problems.has_errors():
            raise AssertionError(f"{self.service}.{operation}: {problems.generate_report()}")
        self.on_call(f"{self.service}.{operation}")
        method = getattr(self, f"do_{xform_name(operation)}")
        answered: dict[str, Any] = method(deepcopy(dict(params)))
        return deepcopy(answered)


def client_error(code: str, message: str, operation: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, operation)
