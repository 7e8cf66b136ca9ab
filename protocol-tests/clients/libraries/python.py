"""Lets a test call Pusher's server library for Python.

The environment variable CLIENT_TEST holds the server under test: {"host", "port", "app": {"id", "key", "secret"}}.
Each line of standard input is a call, {"method": "trigger", "arguments": ["channel", "event", {}]}; each is answered
by a line {"result": ...} or {"error": "PusherBadAuth: ..."}.
"""

import json
import os
import sys

import pusher
import pusher.requests

# It trusts the authorities that it comes with, and no others.
pusher.requests.CERT_PATH = os.environ.get("REQUESTS_CA_BUNDLE", pusher.requests.CERT_PATH)


def main():
    settings = json.loads(os.environ["CLIENT_TEST"])
    app = settings["app"]
    client = pusher.Pusher(
        app_id=app["id"],
        key=app["key"],
        secret=app["secret"],
        host=settings["host"],
        port=settings["port"],
        ssl=settings.get("tls", False),
        timeout=20,
    )
    for line in sys.stdin:
        call = json.loads(line)
        try:
            answer = {"result": getattr(client, call["method"])(*call["arguments"])}
        except pusher.errors.PusherError as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
