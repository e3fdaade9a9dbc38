"""The deployment: what docker-compose.yml, the Dockerfile and `make env` promise."""
