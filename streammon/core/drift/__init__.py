"""Drift tests: is the current window distributed like the reference?

To add one: 1. write a file here with a function on counts and its `DriftTest`; 2. add it to `TESTS`; 3. define it in
docs/measurements.md and settings/measurements.py. The suite runs it and tests/laws/test_drift_laws.py checks it from
then on; give it an oracle in tests/core/drift.
"""

from streammon.core.drift.description import Cells, DriftTest, Result
from streammon.core.drift.js import JS
from streammon.core.drift.kl import KL
from streammon.core.drift.ks import KS
from streammon.core.drift.psi import PSI

TESTS: tuple[DriftTest, ...] = (KS, PSI, KL, JS)

__all__ = ["TESTS", "Cells", "DriftTest", "Result"]
