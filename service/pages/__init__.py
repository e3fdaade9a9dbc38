"""The web page: forms and tables that work without scripts, and figures where there are some."""
