"""Health, versions, methods and the meaning of error codes."""
