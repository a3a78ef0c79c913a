"""`python -m cjasync.cli`."""

import sys

from cjasync.cli import main

sys.exit(main())
