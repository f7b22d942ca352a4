# syntax=docker/dockerfile:1

FROM python:3.12-slim AS build
WORKDIR /source
RUN python -m venv /opt/rowdis
COPY pyproject.toml README.md ./
COPY protocol ./protocol
COPY server ./server
COPY storage ./storage
RUN /opt/rowdis/bin/pip install --no-cache-dir .

FROM python:3.12-slim
RUN groupadd --system --gid 999 rowdis \
    && useradd --system --uid 999 --gid rowdis --home-dir /data --shell /usr/sbin/nologin rowdis \
    && mkdir -p /data/rowdis-data \
    && chown -R rowdis:rowdis /data
COPY --from=build /opt/rowdis /opt/rowdis

# Clients come from outside the container, so Rowdis listens on every address, and protected mode, which serves only
# loopback as long as there is no password, would lock all of them out. Who reaches the port is decided by what is
# published (publish it to 127.0.0.1 or set ROWDIS_REQUIREPASS where others can connect).
ENV PATH=/opt/rowdis/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    ROWDIS_BIND="* -::*" \
    ROWDIS_PROTECTED_MODE=no

USER rowdis
WORKDIR /data
# Where the embedded engine keeps the data; unused with ROWDIS_DATABASE=mysql://... or oceanbase://...
VOLUME /data/rowdis-data
EXPOSE 6379

# The check reads the same environment as the server: set port and password by ROWDIS_PORT and ROWDIS_REQUIREPASS
# rather than by arguments.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 CMD ["rowdis", "ping"]

# In exec form, so that SIGTERM reaches Rowdis itself and not a shell.
STOPSIGNAL SIGTERM
ENTRYPOINT ["rowdis"]
