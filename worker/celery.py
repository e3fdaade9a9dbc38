"""The app that Celery imports: that of this process's environment."""

from ledger.settings import load_settings
from worker.app import make_app

app = make_app(load_settings())
