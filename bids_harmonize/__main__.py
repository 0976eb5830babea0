"""``python -m bids_harmonize`` is ``bids-harmonize``."""

import sys

from bids_harmonize.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
