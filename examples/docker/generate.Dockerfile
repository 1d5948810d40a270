# Step 1, once: install by hand, and lock what came out.
#
#   docker build -f generate.Dockerfile --output . .
#
# leaves SHA256SUMS here.
ARG BASE=debian:12-slim
FROM ${BASE} AS installed
RUN apt-get update && apt-get install -y --no-install-recommends gawk hello
COPY samebits /usr/local/bin/
RUN samebits lock generate -o /SHA256SUMS

FROM scratch
COPY --from=installed /SHA256SUMS /
