"""Sphinx's settings for the site; `make docs` builds it."""

from importlib import metadata

project = "TaiLoRA"
release = metadata.version("tailora")
extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
myst_heading_anchors = 3
exclude_patterns = ["conf.py"]
nitpicky = True
smartquotes = False  # they make a dash of the two before an option

html_theme = "furo"
html_title = f"TaiLoRA {release}"
html_copy_source = False
html_show_copyright = False
