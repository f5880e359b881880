"""``python -m gossamer.native``: compile the kernels in C where that was not done while installing."""

from gossamer.native.building import main

raise SystemExit(main())
