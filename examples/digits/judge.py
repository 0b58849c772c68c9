"""Last actor: compares the guess with the true label.

Its verdict ends in `happy-end`. `held_out` is true for an image that the classifier was not trained on; count
only those when you say how good it is.
"""


def judge(payload):
    """Returns `{row, label, guess, correct, held_out}`."""
    label, guess = payload.get("label"), payload["guess"]
    if type(label) is not int or not 0 <= label <= 9:
        raise ValueError(f"row {payload.get('row')} has the label {label!r}, expected a digit of 0..9")
    return {
        "row": payload.get("row"),
        "label": label,
        "guess": guess,
        "correct": guess == label,
        "held_out": payload["held_out"],
    }
