"""Lets the benchmark's own tests import its rooms, which are scripts beside one another and no package.

Imports the standard library. Invariant: the folder goes to the end of the path, so it hides no other module.
"""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent))
