"""A process of its own for what must not mix: ``python -m draggan_widget.analysis.benchmarks.worker JOB``.

``JOB`` is JSON. Every line printed is a JSON object: ``{"begins": …}`` before something that takes long, and one result
a case, so that what is finished is kept when a later case brings the process down.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any


def results(job: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield what a job comes to, as it comes.

    ``{"kind": "time", "size", "handles": […], "masks": […], "sides": […], "rounds", "width", "device", "threads"}``
    gives one ``{"case": {…}, "seconds", "all_seconds", "ratios"}`` a case; ``{"kind": "memory", …, "sides": [one]}``
    one ``{"case": {…}, "bytes": {side: n}}``; ``{"kind": "frames", "model", "seconds", …}`` what ``frames`` measures.
    """
    import torch

    from draggan_widget.analysis.benchmarks import frames, measure
    from draggan_widget.analysis.benchmarks.cases import Case, network

    if job.get("threads"):
        torch.set_num_threads(job["threads"])
    device = job.get("device") or "cpu"
    if job["kind"] == "about":
        torch.zeros(1, device=device)  # what is not there is better said now than of every case
        name = torch.cuda.get_device_name(device) if device.startswith("cuda") else ""
        yield {"torch": torch.__version__, "threads": torch.get_num_threads(), "device_name": name}
        return
    if job["kind"] == "frames":
        yield {"frames": frames.measure(job["model"], job["seconds"], device)}
        return
    generator = network(job["size"], width=job.get("width"), device=device)
    if job["kind"] == "edit":
        yield {"edit": frames.measure_edit(generator, job["steps"])}
        return
    for mask in job["masks"]:
        for handles in job["handles"]:
            case = Case(job["size"], handles, mask)
            head = {"case": {"size": case.size, "handles": case.handles, "mask": case.mask}}
            if job["kind"] == "time":
                yield {"begins": str(case)}
                yield {**head, **measure.time_case(generator, case, job["sides"], job["rounds"])}
            else:
                side = job["sides"][0]
                yield {"begins": f"memory of {case}, {side}"}
                yield {**head, "bytes": {side: measure.peak_memory(generator, case, side)}}


def main() -> int:
    """Do the job of the command line; an error is a line too."""
    try:
        for result in results(json.loads(sys.argv[1])):
            sys.stdout.write(json.dumps(result) + "\n")
            sys.stdout.flush()
    except Exception as error:  # whatever it is, it belongs to this job alone
        sys.stdout.write(json.dumps({"error": f"{type(error).__name__}: {error}"}) + "\n")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
