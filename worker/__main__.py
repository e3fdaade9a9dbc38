"""`python -m worker NAME`: a worker that ends with the process that started it."""

import sys

from ledger.settings import load_settings
from worker.start import run_worker

run_worker(load_settings(), name=sys.argv[1], follow=True)
