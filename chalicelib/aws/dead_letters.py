"""The client of the dead-letter queue: trigger messages that no job could be made from."""

from typing import Any

from chalicelib.aws.messages import SendError


class BotoDeadLetters:
    def __init__(self, client: Any, *, url: str) -> None:
        self._client = client
        self._url = url

    def send(self, body: str, reason: str) -> None:
        attributes = {"Reason": {"DataType": "String", "StringValue": reason}}
        entry = {"Id": "0", "MessageBody": body, "MessageAttributes": attributes}
        answer = self._client.send_message_batch(QueueUrl=self._url, Entries=[entry])
        if answer.get("Failed"):
            raise SendError(str(answer["Failed"][0].get("Message")))
