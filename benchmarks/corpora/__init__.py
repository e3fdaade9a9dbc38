"""Real texts that a system ships with, as data for training runs; nothing is fetched.

entries: what a corpus is made of, duplicates taken out, whole sources on one side
packages, manuals: short texts with classes, of Debian's package lists or of manual pages
prose: running text, of the documentation in Python's standard library and of licences
files: JSON Lines

`python -m benchmarks.corpora FOLDER` writes all of them.
"""
