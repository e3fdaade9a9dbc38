"""A client of the service over HTTP: what the command line talks to where TAILORA_URL is set."""
