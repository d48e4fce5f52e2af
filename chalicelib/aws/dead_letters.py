"""The queue of events that no job could be made of."""

from typing import Any

from chalicelib.aws.messages import SendError


class BotoDeadLetters:
    def __init__(self, client: Any, *, url: str) -> None:
        self._client = client
        self._url = url

    def send(self, body: str, reason: str) -> None:
        """Put a message aside as it came, so that redriving the queue brings the very same back."""
        attributes = {"Reason": {"DataType": "String", "StringValue": reason}}
        entry = {"Id": "0", "MessageBody": body, "MessageAttributes": attributes}
        answer = self._client.send_message_batch(QueueUrl=self._url, Entries=[entry])
        if answer.get("Failed"):
            raise SendError(str(answer["Failed"][0].get("Message")))
