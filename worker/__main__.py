"""`python -m worker QUEUE NAME`: a worker that ends with the process that started it."""

import sys

from ledger.settings import load_settings
from worker.start import run_worker

run_worker(load_settings(), queue=sys.argv[1], name=sys.argv[2], follow=True)
