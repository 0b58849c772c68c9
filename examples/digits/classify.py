"""Second actor: says which digit an image shows.

A nearest-neighbour classifier: an image is given the label of the training image that lies closest to it.
Its training part is every second row of `digits.jsonl`: rows 0, 2, 4, .. 1796, 899 images. Rows 1, 3, 5, .. 1795,
898 images, are held out; nothing is learnt from them, so only they say how good the classifier is.

The class is made once when its process starts, and then called for each message. It is never changed after
that, so several threads may call it at once.
"""

import json
import math
from itertools import repeat
from pathlib import Path

from normalise import checked, features

TRAINING = Path(__file__).resolve().parent / "digits.jsonl"


class Classify:
    """Holds the training images; a call turns `{features, label, row}` into `{guess, held_out, label, row}`."""

    def __init__(self, path=TRAINING):
        self.images, self.labels = training_part(path)
        self.known = frozenset(self.images)

    def __call__(self, payload):
        # The true label is passed on for the judge; `guess` is given the features and nothing else.
        passed_on = {key: value for key, value in payload.items() if key != "features"}
        image = tuple(payload["features"])
        return {**passed_on, "guess": self.guess(image), "held_out": image not in self.known}

    def guess(self, image):
        """The label of the nearest training image (`math.dist` walks the 64 values in C)."""
        _, label = min(zip(map(math.dist, self.images, repeat(image)), self.labels))
        return label


def training_part(path):
    """Returns the training images, normalised as any message is, and their labels."""
    images, labels = [], []
    with open(path, encoding="ascii") as lines:
        for number, line in enumerate(lines):
            if is_training_row(number):
                payload = json.loads(line)
                images.append(tuple(features(checked(payload["image"], payload["row"]))))
                labels.append(payload["label"])
    return images, labels


def is_training_row(row):
    """True for the rows that the classifier may learn from."""
    return row % 2 == 0
