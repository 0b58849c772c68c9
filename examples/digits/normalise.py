"""First actor: checks an image and brings it to the form that the classifier compares.

`{image, label, row}` becomes `{features, label, row}`. An image that is not 8 by 8 pixels of 0..16 raises
`CorruptImage`; Outrigger then puts the message, untouched, on `error-end` with that reason.
"""

import math

SIDE = 8
PIXELS = SIDE * SIDE
DARKEST = 16
DIGITS = 6  # decimals kept: a shorter message, and far finer than one grey level


class CorruptImage(ValueError):
    """The image cannot be read; trying again would not help."""


def normalise(payload):
    """Returns the payload with `features` in the place of `image`."""
    if not isinstance(payload, dict):
        raise CorruptImage(f"the payload is {kind(payload)}, expected an object with an image")
    row = payload.get("row")
    passed_on = {key: value for key, value in payload.items() if key != "image"}
    return {**passed_on, "features": features(checked(payload.get("image"), row))}


def checked(image, row=None):
    """Returns the image itself if it is 64 whole numbers of 0..16; says what is wrong with it if not."""
    where = "image" if row is None else f"image of row {row}"
    if not isinstance(image, list):
        raise CorruptImage(f"{where} is {kind(image)}, expected a list of {PIXELS} values")
    if len(image) != PIXELS:
        raise CorruptImage(f"{where} has {len(image)} values, expected {PIXELS} ({SIDE} lines of {SIDE})")
    for index, value in enumerate(image):
        # True and False count as numbers in Python, but never as pixels.
        if type(value) is not int or not 0 <= value <= DARKEST:
            line, column = divmod(index, SIDE)
            raise CorruptImage(
                f"{where} has {value!r} at line {line + 1}, column {column + 1}, "
                f"expected a whole number of 0..{DARKEST}"
            )
    if min(image) == max(image):
        raise CorruptImage(f"{where} is one even grey: every value is {image[0]}")
    return image


def features(image):
    """Centres the pixels on zero and scales them to length one, so that a faint stroke equals a dark one."""
    mean = sum(image) / PIXELS
    centred = [value - mean for value in image]
    # Not math.hypot(*centred): its many-argument form differs in the last bit between Python versions.
    length = math.sqrt(math.fsum(value * value for value in centred))
    return [round(value / length, DIGITS) for value in centred]


def kind(value):
    """The JSON name of a value's type, for a message to a person."""
    if value is None:
        return "missing"
    names = {bool: "a boolean", int: "a number", float: "a number", str: "a string", list: "a list"}
    return names.get(type(value), "an object")
