"""A worker of `evaluate_folder`: ``python -m gossamer.evaluation`` reads a JSON object a line and answers with one.

Not `multiprocessing`: it would run the caller's own script again in every worker, where that lacks its guard.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import Any

from gossamer.evaluation.scoring import Task, reason, score
from gossamer.platform import ignore_interrupts


def _serve() -> None:
    """Answer tasks until stdin ends."""
    import cv2

    ignore_interrupts()  # who started us ends us
    cv2.setNumThreads(1)  # there is a worker for each core already
    answers = sys.stdout
    sys.stdout = sys.stderr  # whatever a library prints must not come between the answers
    for line in sys.stdin:
        answer: dict[str, Any]
        try:
            answer = {"score": asdict(score(Task(**json.loads(line))))}
        except Exception as error:
            answer = {"error": reason(error), "extra": getattr(error, "extra", "")}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    _serve()
