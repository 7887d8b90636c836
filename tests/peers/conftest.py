"""What every comparison needs: where the program and the probes are.

`make test-peers` builds the release preset and runs pytest here. Whatever the environment names already
(STRIATE_PROGRAM, STRIATE_IMAGE_PROBE, STRIATE_WEIGHTS_PROBE, STRIATE_ROWS_PROBE, STRIATE_ANSWERS_PROBE,
STRIATE_PARITY_TEST) is left as it is; what it does not is looked for in build/release (or STRIATE_BUILD). Tests whose
program is absent are skipped and say what they lack. The reference data are found by reference_data.py.
"""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("STRIATE_BUILD", ROOT / "build" / "release"))

FOUND_BY_DEFAULT = {
    "STRIATE_PROGRAM": BUILD / "apps" / "striate" / "striate",
    "STRIATE_IMAGE_PROBE": BUILD / "tests" / "image" / "image_probe",
    "STRIATE_WEIGHTS_PROBE": BUILD / "tests" / "files" / "weights_probe",
    "STRIATE_ROWS_PROBE": BUILD / "tests" / "peers" / "rows_probe",
    "STRIATE_ANSWERS_PROBE": BUILD / "tests" / "peers" / "answers_probe",
    "STRIATE_PARITY_TEST": BUILD / "tests" / "parity" / "parity_test",
}

# Set on import: the test modules read the environment when they are collected.
for variable, path in FOUND_BY_DEFAULT.items():
    if variable not in os.environ and path.exists():
        os.environ[variable] = str(path)


def pytest_report_header():
    return [f"{variable}={os.environ.get(variable, '(absent)')}" for variable in FOUND_BY_DEFAULT]
