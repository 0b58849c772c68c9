"""The work of the actor `my-actor`: one function, which knows nothing of queues."""


def process(payload):
    """Takes a payload, `{"name": ...}`, and returns the next one: `{"greeting": ...}`.

    What is returned goes to the next actor of the message's route, or to `happy-end` after the last one. A list becomes
    one message for each item. An exception sends the message, untouched, to `error-end` with the reason.
    """
    name = payload.get("name", "stranger")
    return {"greeting": f"Hello, {name}!"}
