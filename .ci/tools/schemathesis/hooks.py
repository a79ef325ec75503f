"""What Schemathesis cannot know of this API: how bodies that are not JSON are written and read, and
what must stay so that the rest can be tried."""

import json
import os

import schemathesis

# The keys that its calls are made with, and the plugins that the host was started with.
KEPT = {*os.environ.get("HOLDFAST_KEPT_KEYS", "").split(","), "pricing-tiered", "authorizer-quota"}


@schemathesis.hook
def before_call(context, case, kwargs):
    """It finds keys and plugins in lists and removes them; these must be there until the end."""
    parameters = case.path_parameters
    if case.method.upper() == "GET" or not isinstance(parameters, dict):
        return
    for name in ("id", "name"):
        if parameters.get(name) in KEPT:
            parameters[name] = "absent1"


@schemathesis.serializer("application/x-ndjson")
def line(context, value):
    """One entry in one line."""
    return json.dumps(value).encode()


@schemathesis.serializer("application/x-protobuf")
def message(context, value):
    """Bytes as they are; what is made up beside them goes as its JSON, which is no message."""
    return value if isinstance(value, bytes) else json.dumps(value).encode()


@schemathesis.deserializer("application/x-ndjson", "application/x-protobuf")
def text(context, response):
    """The document says of these no more than that there is a body."""
    return response.content.decode(errors="replace")
