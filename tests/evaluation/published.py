"""Our numbers beside those that PySODMetrics publishes for its own example pictures.

    python tests/evaluation/published.py EXAMPLES

EXAMPLES is the folder ``examples`` of a checkout of github.com/lartpang/PySODMetrics, which holds three pictures of
public data sets (they are not ours to ship) and, in version_performance.json, what its releases measured on them:
1.4.3 for all but HCE, 1.5.1 for that. The exit status is 1 where one differs by more than 1e-12.

HCE counts the corners of OpenCV's approxPolyDP: with OpenCV 4.12 or older it is the published 221 / 3, from 4.13 on
223 / 3 - of PySODMetrics itself as well.
"""

from __future__ import annotations

import sys
from pathlib import Path

from gossamer.evaluation import evaluate_folder

PUBLISHED = {
    "mae": 0.03705558476661653,
    "max_f": 0.5886784581120638,
    "mean_f": 0.577051059518767,
    "adaptive_f": 0.5816750824038355,
    "weighted_f": 0.5579812753638986,
    "s_measure": 0.9029761578759272,
    "max_e": 0.9669544828922699,
    "mean_e": 0.9566258293508704,
    "adaptive_e": 0.9408760066970617,
    "hce": 73.66666666666667,
    "iou": 0.5039622042094377,
}


def main() -> int:
    """Print the table; returns the exit status."""
    if len(sys.argv) != 2:
        print(__doc__)
        return 2
    data = Path(sys.argv[1]) / "test_data"
    means = evaluate_folder(data / "preds", data / "masks").means
    worst = 0.0
    print(f"{'measure':12} {'ours':>20} {'published':>20} {'difference':>12}")
    for name, value in PUBLISHED.items():
        difference = means[name] - value
        worst = max(worst, abs(difference))
        print(f"{name:12} {means[name]:20.16g} {value:20.16g} {difference:12.1e}")
    return int(worst > 1e-12)


if __name__ == "__main__":
    sys.exit(main())
