"""Tests of the C++ runtime, over its real socket. What every runtime must do stands in `sdks/testing`."""

import sys
from pathlib import Path

SDK = Path(__file__).resolve().parent.parent

sys.path.insert(0, str(SDK.parent))
