"""An account of moto's server: a second implementation of CloudFormation, IAM and others, by HTTP.

It has no SAM transform, so AWS's own translator runs in front of it, as it does in an account. What
moto's CloudFormation cannot make is left out, by type: the tests say what that leaves untried.
"""

import copy
import json
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import boto3
from botocore.config import Config
from moto.awslambda.models import LambdaBackend
from moto.server import ThreadedMotoServer
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator

# moto takes an API's methods from resources of their own, not from the document that SAM makes, and
# fails with each update of a policy that stands beside its roles.
NOT_MADE = frozenset({"AWS::ApiGateway::Deployment", "AWS::ApiGateway::Stage", "AWS::IAM::Policy"})
ACCOUNT = "123456789012"


class MotoAccount:
    """A session, as `deploy` takes it, whose clients speak to the server."""

    def __init__(self, url: str, region: str) -> None:
        self.region_name = region
        self._url = url

    def reset(self) -> None:
        """Empty the account."""
        urllib.request.urlopen(f"{self._url}/moto-api/reset", data=b"", timeout=30).close()

    def client(self, service_name: Any, **options: Any) -> Any:
        make: Any = boto3.client
        made = make(
            service_name,
            region_name=self.region_name,
            endpoint_url=self._url,
            aws_access_key_id="testing",
            aws_secret_access_key="testing",
            config=Config(retries={"total_max_attempts": 1}),
        )
        return _Transforming(made, self.client("s3")) if service_name == "cloudformation" else made


class _Transforming:
    """A CloudFormation client that expands SAM's transform in the template it is given."""

    def __init__(self, client: Any, s3: Any) -> None:
        self._client, self._s3 = client, s3

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def create_stack(self, **request: Any) -> Any:
        return self._client.create_stack(**self._expanded(request))

    def update_stack(self, **request: Any) -> Any:
        (stack,) = self._client.describe_stacks(StackName=request["StackName"])["Stacks"]
        known = {one["ParameterKey"]: one["ParameterValue"] for one in stack["Parameters"]}
        # moto knows the previous value of a parameter only if one was given for it.
        request["Parameters"] = [
            {"ParameterValue": known.get(one["ParameterKey"]), **one, "UsePreviousValue": False}
            for one in request["Parameters"]
        ]
        return self._client.update_stack(**self._expanded(request))

    def _expanded(self, request: dict[str, Any]) -> dict[str, Any]:
        bucket, key = request.pop("TemplateURL").rsplit("/", 2)[1:]
        template = json.loads(self._s3.get_object(Bucket=bucket, Key=key)["Body"].read())
        region = self._client.meta.region_name
        return request | {"TemplateBody": json.dumps(expanded(template, region))}


def expanded(template: Mapping[str, Any], region: str) -> dict[str, Any]:
    """Return the template after SAM's transform, without what moto cannot make."""
    defaults = {name: one["Default"] for name, one in template["Parameters"].items()}
    translator = Translator({}, Parser(), boto_session=boto3.Session(region_name=region))
    made: dict[str, Any] = translator.translate(copy.deepcopy(dict(template)), defaults)
    for resource in made["Resources"].values():
        # moto has no rollback, so the two are the same.
        if resource.get("DeletionPolicy") == "RetainExceptOnCreate":
            resource["DeletionPolicy"] = "Retain"
        # moto takes a property without a value for one that each update changes.
        properties = resource.get("Properties", {})
        for name in [one for one, value in properties.items() if _is_for_a_key(value)]:
            del properties[name]
    made["Resources"] = {
        name: resource
        for name, resource in made["Resources"].items()
        if resource["Type"] not in NOT_MADE
    }
    return made


def _is_for_a_key(value: Any) -> bool:
    """Return whether a property has a value only with a KMS key of the user's."""
    choice = value.get("Fn::If") if isinstance(value, dict) else None
    return isinstance(choice, list) and choice[0] == "HasKmsKey"


@contextmanager
def moto_account(region: str = "eu-central-1") -> Iterator[MotoAccount]:
    """Yield an empty account on a server of its own."""
    server = ThreadedMotoServer(ip_address="localhost", port=0, verbose=False)
    # A record in a table's stream would start a container for its function.
    with patch.object(LambdaBackend, "send_dynamodb_items", lambda *_: True):
        server.start()
        try:
            host, port = server.get_host_and_port()
            yield MotoAccount(f"http://{host}:{port}", region)
        finally:
            server.stop()
