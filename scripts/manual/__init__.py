"""The documentation as a site (`make docs`): the pages of docs/, and a reference from the code.

build: copies docs/ and writes the reference beside it
render: runs Sphinx, where a warning is an error
commands, endpoints, records: pages on commands, on the HTTP API, on settings, errors and metrics
schemas, fields: pages on JSON Schemas, and the tables that describe one
notebook: a notebook as a page, with the outputs that it was saved with
origins: what a browser would load from elsewhere
"""
