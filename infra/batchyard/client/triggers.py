"""Calls of the triggers API, signed for API Gateway.

The API is our own and in no SDK, so these are plain signed HTTP requests.
"""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.httpsession import URLLib3Session

from batchyard.client.clients import Clients

SERVICE = "execute-api"


class TriggerError(Exception):
    """The API refused the request; the message is the API's."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class TriggerCalls:
    """The triggers of the stack that these clients reach."""

    def __init__(self, clients: Clients) -> None:
        batch = clients("batch")
        self._endpoint_url: str = batch.meta.endpoint_url.rstrip("/")
        self._region: str = batch.meta.region_name
        self._credentials = clients.credentials()
        self._http = URLLib3Session()

    def put(self, name: str, document: Mapping[str, Any]) -> dict[str, Any]:
        """Create or replace a trigger; return its description."""
        return self._call("PUT", f"/{_quoted(name)}", body=document)

    def get(self, name: str) -> dict[str, Any]:
        """Return the description of a trigger."""
        return self._call("GET", f"/{_quoted(name)}")

    def delete(self, name: str) -> None:
        """Delete a trigger."""
        self._call("DELETE", f"/{_quoted(name)}")

    def every(self) -> list[dict[str, Any]]:
        """Return the descriptions of all triggers."""
        return self._pages("", "triggers")

    def firings(self, name: str, *, limit: int = 20) -> list[dict[str, Any]]:
        """Return the last firings, newest first."""
        query = {"maxResults": str(limit)}
        answer = self._call("GET", f"/{_quoted(name)}/firings", query=query)
        found: list[dict[str, Any]] = answer["firings"]
        return found

    def fire(self, name: str, event: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Fire a trigger now with this event; return the firing."""
        body = {} if event is None else {"event": event}
        return self._call("POST", f"/{_quoted(name)}/fire", body=body)

    def _pages(self, path: str, member: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        query: dict[str, str] = {}
        while True:
            answer = self._call("GET", path, query=query)
            found.extend(answer[member])
            if not answer.get("nextToken"):
                return found
            query = {"nextToken": answer["nextToken"]}

    def _call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        url = f"{self._endpoint_url}/triggers{path}"
        if query:
            url += f"?{urlencode(query)}"
        data = b"" if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        request = AWSRequest(method=method, url=url, data=data, headers=headers)
        SigV4Auth(self._credentials, SERVICE, self._region).add_auth(request)
        answer = self._http.send(request.prepare())
        decoded: dict[str, Any] = _decoded(answer.content)
        if answer.status_code != 200:
            message = decoded.get("message") or f"{method} {path}: HTTP {answer.status_code}"
            raise TriggerError(answer.status_code, str(message))
        return decoded


def _quoted(name: str) -> str:
    return quote(name, safe="")


def _decoded(body: bytes) -> dict[str, Any]:
    try:
        decoded = json.loads(body)
    except ValueError:
        return {}
    return decoded if isinstance(decoded, dict) else {}
