"""Black-box tests of the runtime and unit tests of its parts; they need no installation."""

import os
import sys

SDK = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SOURCE = os.path.join(SDK, "src")
sys.path[:0] = [SOURCE, os.path.dirname(SDK)]
