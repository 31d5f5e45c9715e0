"""`python -m streammon`."""

import sys

from streammon.cli import main

sys.exit(main())
