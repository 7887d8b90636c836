"""What every comparison needs: where the program, the probes and the reference data are.

`make test-peers` builds the release preset and runs pytest here. Whatever the environment names already
(STRIATE_PROGRAM, STRIATE_IMAGE_PROBE, STRIATE_WEIGHTS_PROBE, STRIATE_ANSWERS_PROBE, STRIATE_SHARED, STRIATE_GOLDENS, STRIATE_TESTDATA)
is left as it is; what it does not is looked for in build/release (or STRIATE_BUILD) and beside the repository. Tests
whose program or data is absent are skipped and say what they lack.
"""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("STRIATE_BUILD", ROOT / "build" / "release"))
SHARED = Path(os.environ.get("STRIATE_SHARED", ROOT.parent / "shared"))

FOUND_BY_DEFAULT = {
    "STRIATE_PROGRAM": BUILD / "apps" / "striate" / "striate",
    "STRIATE_IMAGE_PROBE": BUILD / "tests" / "image" / "image_probe",
    "STRIATE_WEIGHTS_PROBE": BUILD / "tests" / "tensor" / "weights_probe",
    "STRIATE_ANSWERS_PROBE": BUILD / "tests" / "peers" / "answers_probe",
    "STRIATE_SHARED": SHARED,
    "STRIATE_GOLDENS": SHARED / "goldens",
    "STRIATE_TESTDATA": SHARED / "testdata",
}

# Set on import: the test modules read the environment when they are collected.
for variable, path in FOUND_BY_DEFAULT.items():
    if variable not in os.environ and path.exists():
        os.environ[variable] = str(path)


def pytest_report_header():
    return [f"{variable}={os.environ.get(variable, '(absent)')}" for variable in FOUND_BY_DEFAULT]
