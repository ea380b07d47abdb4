"""Vonage at the other end of the SDK's wire, answering as a test tells it to."""

import json
import re

import requests
import responses

URL = "https://api.nexmo.com/v2/verify"
REQUEST_ID = "c11236f4-00bf-4b89-84ba-88b25df97315"
OTHER_REQUEST_ID = "aaaaaaaa-00bf-4b89-84ba-88b25df97315"
PROVIDERS_WORDS = "Your account balance being low"
PROBLEM = {"type": "about:blank", "title": "No", "detail": PROVIDERS_WORDS, "instance": "bf0c"}

# What may go wrong with any call, as arguments of Vonage's methods.
REFUSALS = {status: {"status": status, "json": PROBLEM} for status in (401, 402, 403, 429)}
UNCLEAR = {
    500: {"status": 500, "json": PROBLEM},
    502: {"status": 502, "body": f"<h1>{PROVIDERS_WORDS}</h1>"},
    503: {"status": 503, "body": PROVIDERS_WORDS, "headers": {"Retry-After": "5"}},
    "timeout": {"body": requests.ReadTimeout(PROVIDERS_WORDS)},
    "reset": {"body": requests.ConnectionError(ConnectionResetError(104, PROVIDERS_WORDS))},
}
# What may be wrong with an answer that says 200, where the answer matters.
UNREADABLE = {
    "html": {"status": 200, "body": f"<h1>{PROVIDERS_WORDS}</h1>"},
    "empty": {"status": 200, "body": ""},
    "null": {"status": 200, "json": None},
    "list": {"status": 200, "json": [PROVIDERS_WORDS]},
    "failed": {"status": 200, "json": {"status": "failed"}},
}


class Vonage:
    def __init__(self, wire: responses.RequestsMock):
        self.wire = wire
        self.start()
        self.check()
        self.cancel()
        self.next_step()

    def start(self, status=202, **answer):
        self.answer("POST", URL, status, answer or {"json": {"request_id": REQUEST_ID}})

    def check(self, status=200, **answer):
        completed = {"request_id": REQUEST_ID, "status": "completed"}
        body = completed if status == 200 else PROBLEM
        self.answer("POST", re.compile(rf"{URL}/[^/]+$"), status, answer or {"json": body})

    def cancel(self, status=204, **answer):
        self.answer("DELETE", re.compile(rf"{URL}/[^/]+$"), status, answer)

    def next_step(self, status=200, **answer):
        self.answer("POST", re.compile(rf"{URL}/[^/]+/next_workflow$"), status, answer)

    def answer(self, method, url, status, answer):
        self.wire.upsert(responses.Response(method, url, status=status, **answer))

    def start_slowly(self, meanwhile):
        """Answer to a start after something else has happened."""

        def answer(request):
            meanwhile()
            return 202, {}, json.dumps({"request_id": REQUEST_ID})

        self.wire.upsert(responses.CallbackResponse("POST", URL, callback=answer))

    def check_slowly(self, meanwhile):
        """Say that the code is right after something else has happened."""

        def answer(request):
            meanwhile()
            return 200, {}, json.dumps({"request_id": REQUEST_ID, "status": "completed"})

        pattern = re.compile(rf"{URL}/[^/]+$")
        self.wire.upsert(responses.CallbackResponse("POST", pattern, callback=answer))

    @property
    def calls(self) -> list[str]:
        return [name_of(call.request) for call in self.wire.calls]

    @property
    def paths(self) -> list[str]:
        return [call.request.path_url for call in self.wire.calls]

    @property
    def bodies(self) -> list:
        return [json.loads(call.request.body or "null") for call in self.wire.calls]


def name_of(request) -> str:
    if request.method == "DELETE":
        return "cancel"
    if request.path_url == "/v2/verify":
        return "start"
    return "next_step" if request.path_url.endswith("/next_workflow") else "check"
