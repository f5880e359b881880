"""What ComfyUI's Manager runs after the requirements are there: compiles the kernels in C for a clone.

The system's compiler does it, else Zig's, which is fetched for that and not kept. Without either the nodes work, too,
many times as slow; so this is never an error.
"""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent / "core"))
    from gossamer.native.building import main

    main()
