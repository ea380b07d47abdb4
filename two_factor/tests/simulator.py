"""What Vonage remembers of requests: a handler for ``FakeVonage``."""

from uuid import uuid4


class Simulator:
    """What Vonage does with starts, checks and cancellations, by the clock of ``now``.

    ``cancel_release_delay`` is for how many seconds after a cancellation a start for the same
    number is refused; users of Vonage report a dozen. ``codes`` has what was sent, newest last.
    """

    def __init__(self, now, cancel_release_delay=0, cancel_min_age=30):
        self.now = now
        self.cancel_release_delay, self.cancel_min_age = cancel_release_delay, cancel_min_age
        self.requests, self.codes = {}, []

    def __call__(self, request):
        *_, last = request.path.split("/")
        if request.method == "DELETE":
            return self.cancel(last)
        return self.start(request.body) if last == "verify" else self.check(last, request.body)

    def start(self, body):
        number = body["workflow"][0]["to"]
        for request_id, known in self.requests.items():
            if known["number"] == number and known["held_until"] > self.now():
                return 409, {"title": "Conflict", "request_id": request_id}
        request_id, code = str(uuid4()), f"{len(self.codes):06}"
        self.codes.append(code)
        self.requests[request_id] = {
            "number": number,
            "code": code,
            "began": self.now(),
            "held_until": self.now() + 360,
        }
        return 202, {"request_id": request_id}

    def check(self, request_id, body):
        known = self.requests.get(request_id)
        if known is None or known["code"] is None:
            return 404, {"title": "Not Found"}
        if body["code"] != known["code"]:
            return 400, {"title": "Invalid Code"}
        known["code"], known["held_until"] = None, 0
        return 200, {"request_id": request_id, "status": "completed"}

    def cancel(self, request_id):
        known = self.requests.get(request_id)
        is_young = known and known["began"] + self.cancel_min_age > self.now()
        if not known or known["code"] is None or is_young:
            return 404, {"title": "Not Found"}
        known["code"], known["held_until"] = None, self.now() + self.cancel_release_delay
        return 204, None
