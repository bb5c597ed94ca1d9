# kugetsu with the opencode it is tested with, git, and node for projects whose set-up or MCP servers need it.
# Both stages share one base: the virtual environment links to its Python.
FROM node:22-bookworm-slim AS node

FROM python:3.12-slim-bookworm AS base
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates git openssh-client tzdata \
    && rm -rf /var/lib/apt/lists/*
COPY --from=node /usr/local/bin/node /usr/local/bin/node
COPY --from=node /usr/local/lib/node_modules/npm /usr/local/lib/node_modules/npm
RUN ln -s ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm \
    && ln -s ../lib/node_modules/npm/bin/npx-cli.js /usr/local/bin/npx

FROM base AS build
WORKDIR /src
COPY pyproject.toml README.md constraints.txt package.json package-lock.json ./
COPY scripts scripts
COPY core core
COPY adapters adapters
COPY bot bot
# By the end the binary for this machine is in opencode-ai itself; the packages it came from are 180 MB each.
RUN scripts/install.sh --prefix /opt/kugetsu \
    && rm -rf /opt/kugetsu/opencode/node_modules/opencode-*-*

FROM base
# The same ids as the owner of the checkouts on the host: git refuses other people's repositories.
ARG UID=1000
ARG GID=1000
RUN groupadd --non-unique --gid "$GID" kugetsu \
    && useradd --non-unique --uid "$UID" --gid "$GID" --create-home --shell /bin/bash kugetsu \
    && install --directory --mode=0700 --owner=kugetsu --group=kugetsu \
        /home/kugetsu/.kugetsu /home/kugetsu/.config /home/kugetsu/.local /home/kugetsu/projects
COPY --from=build /opt/kugetsu /opt/kugetsu
ENV PATH=/opt/kugetsu/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    OPENCODE_DISABLE_AUTOUPDATE=1
USER kugetsu
WORKDIR /home/kugetsu
# State and worktrees; opencode's configuration; opencode's sessions and credentials; the checkouts. Secrets come from
# the environment (see compose.yaml), never from the image.
VOLUME ["/home/kugetsu/.kugetsu", "/home/kugetsu/.config", "/home/kugetsu/.local", "/home/kugetsu/projects"]
# A bot that works accepts on its socket; a hung one does not answer in time. Starting opencode takes a while.
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s --retries=3 \
    CMD ["/opt/kugetsu/venv/bin/python", "-c", \
    "import pathlib, socket; s = socket.socket(socket.AF_UNIX); s.settimeout(5); s.connect(str(pathlib.Path.home() / '.kugetsu/kugetsu.sock'))"]
# Agents leave orphaned processes behind: run with an init (`docker run --init`, `init: true` in compose.yaml).
STOPSIGNAL SIGTERM
CMD ["kugetsu", "run"]
