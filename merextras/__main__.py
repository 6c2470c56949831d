"""``python -m merextras`` is the command ``merextras``."""

import sys

from merextras.cli import main

sys.exit(main())
