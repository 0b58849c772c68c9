"""Makes `digits.jsonl` and `corrupt.json` from the file that scikit-learn carries.

    pip download --no-deps scikit-learn
    unzip -j scikit_learn-*.whl sklearn/datasets/data/digits.csv.gz
    python3 make_digits.py digits.csv.gz

Only for whoever wants to check where the data come from; the example runs without it.
"""

import gzip
import json
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
PIXELS = 64
CORRUPT_ROW = 9999  # far outside the set, so that it is easy to find among dead letters
CORRUPT_SOURCE = 1234  # the image that loses its last pixel


def line(payload):
    """One payload as it stands in the file: compact JSON, keys in a fixed order."""
    return json.dumps(payload, separators=(",", ":"), sort_keys=True)


def payloads(csv_lines):
    """Yields `{image, label, row}` for each line of 64 pixels and a label, in the original order."""
    for row, text in enumerate(csv_lines):
        values = [int(value) for value in text.split(",")]
        if len(values) != PIXELS + 1:
            raise ValueError(f"line {row + 1} has {len(values)} values, expected {PIXELS + 1}")
        yield {"image": values[:PIXELS], "label": values[PIXELS], "row": row}


def corrupted(payload):
    """A copy that was cut short: 63 pixels, and a row number of its own."""
    return {**payload, "image": payload["image"][:-1], "row": CORRUPT_ROW}


def main(arguments):
    if len(arguments) != 1:
        print("usage: python3 make_digits.py DIGITS_CSV_GZ", file=sys.stderr)
        return 64
    with gzip.open(arguments[0], "rt", encoding="ascii") as source:
        rows = list(payloads(source))
    (HERE / "digits.jsonl").write_text("".join(line(row) + "\n" for row in rows), encoding="ascii")
    (HERE / "corrupt.json").write_text(line(corrupted(rows[CORRUPT_SOURCE])) + "\n", encoding="ascii")
    print(f"{len(rows)} digits written", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
