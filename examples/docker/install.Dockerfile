# Step 2, as often as you like: install exactly what the lock names.
#
#   docker build -f install.Dockerfile -t example .
ARG BASE=debian:12-slim
FROM ${BASE}
COPY samebits /usr/local/bin/
COPY SHA256SUMS /
RUN --mount=type=cache,target=/var/cache/samebits samebits lock install /SHA256SUMS
