"""Celery workers: take a unit from the ledger, run the libraries, write what came out."""
