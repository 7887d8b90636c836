#!/usr/bin/env python3
"""How long a study takes with several cells at once, and whether its results stay the same (docs/study.md).

Runs bench/study/jobs.toml, three tunings with what they build on, once for each number of jobs (one thread a cell), and once
one cell at a time with as many threads as the most jobs would have cores. Prints elapsed times and their ratio to the first.
"""
import argparse
import hashlib
import os
import pathlib
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent


def results(folder):
    """What the cells left behind, by path: adapters, projectors and answers."""
    files = [*folder.glob("cells/*/*.safetensors"), *folder.glob("cells/*/*/answers.jsonl")]
    return {str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def run(program, definition, folder, jobs):
    """Seconds that the study took, and its results."""
    began = time.monotonic()
    done = subprocess.run([program, "study", "run", definition, "--out", folder, "--jobs", str(jobs)], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode != 0:
        sys.exit(f"run.py: the study failed with {jobs} jobs:\n{done.stdout}")
    return time.monotonic() - began, results(folder)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default=ROOT / "build/release/apps/striate/striate", type=pathlib.Path)
    parser.add_argument("--definition", default=HERE / "jobs.toml", type=pathlib.Path, help="a study without `threads`")
    parser.add_argument("--jobs", default="1,2,3", help="numbers of jobs, the first of which is compared with")
    args = parser.parse_args()
    if not args.program.is_file():
        parser.error(f"{args.program} is missing: 'make build' builds it, or name --program")
    threads = len(os.sched_getaffinity(0))
    first = None
    with tempfile.TemporaryDirectory() as work:
        for jobs in [int(number) for number in args.jobs.split(",")]:
            seconds, found = run(args.program, args.definition, pathlib.Path(work) / f"jobs-{jobs}", jobs)
            first = first or (seconds, found)
            if not found or found != first[1]:
                sys.exit(f"run.py: with {jobs} jobs the results are others")
            print(f"jobs {jobs}, 1 thread a cell: {seconds:.1f} s, ratio {seconds / first[0]:.2f}, "
                  f"the same {len(found)} files", flush=True)
        text = args.definition.read_text().replace('device = "cpu"', f'device = "cpu"\nthreads = {threads}', 1)
        text = text.replace('path = "../../', f'path = "{ROOT}/')
        threaded = pathlib.Path(work) / "threads.toml"
        threaded.write_text(text)
        seconds, _ = run(args.program, threaded, pathlib.Path(work) / "threads", 1)
        print(f"jobs 1, {threads} threads a cell: {seconds:.1f} s, ratio {seconds / first[0]:.2f}")


if __name__ == "__main__":
    main()
