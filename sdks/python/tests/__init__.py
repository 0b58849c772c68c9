"""Black-box tests of the runtime and unit tests of its parts; they need no installation."""

import os
import sys

SOURCE = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "src")
sys.path.insert(0, SOURCE)
