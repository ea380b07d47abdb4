"""What the form of a poll sends."""


def typed(**fields) -> dict:
    """Return a good form, with ``fields`` in place of its own; None leaves one out."""
    form = {
        "question": "Tea or coffee?",
        "description": "",
        "choices": ["Tea", "Coffee", "", ""],
        "opens_at": "",
        "closes_at": "",
        "time_zone": "UTC",
        "min_choices": "1",
        "max_choices": "1",
        "results_for": "verified",
        "may_change": "on",
        "is_listed": "on",
    }
    return {name: value for name, value in (form | fields).items() if value is not None}


def typed_locked(poll, **fields) -> dict:
    """Return what the page sends of a poll somebody has voted in, with ``fields`` changed."""
    closes_at = poll.closes_at and poll.closes_at.astimezone(poll.zone)
    form = {
        "question": poll.question,
        "description": poll.description,
        "choices": [choice.text for choice in poll.choices.all()],
        "closes_at": f"{closes_at:%Y-%m-%dT%H:%M}" if closes_at else "",
        "results_for": poll.results_for,
        "is_listed": "on" if poll.is_listed else None,
    }
    return {name: value for name, value in (form | fields).items() if value is not None}
