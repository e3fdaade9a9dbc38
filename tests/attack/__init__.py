"""Strangers: floods, wrong requests, foreign ids, full disks; with real processes."""
