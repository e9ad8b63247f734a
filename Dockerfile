# SPDX-License-Identifier: AGPL-3.0-or-later
# Two images: `server` (the binary and its libraries) and `migrate` (the same with psql, for the one-shot preparation of the database).
FROM debian:12-slim AS build
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev meson ninja-build pkg-config libmicrohttpd-dev libgnutls28-dev \
    libjansson-dev libpq-dev libsodium-dev libxxhash-dev libssl-dev zlib1g-dev libcurl4-openssl-dev && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY meson.build meson_options.txt ./
COPY tools tools
COPY include include
COPY migrations migrations
COPY src src
RUN meson setup /build --buildtype=release -Dsample_dir=/usr/share/wardmote/sample -Dtests=false && ninja -C /build src/server/wardmote

FROM debian:12-slim AS server
RUN apt-get update && apt-get install -y --no-install-recommends libmicrohttpd12 libgnutls30 libjansson4 libpq5 libsodium23 libxxhash0 libssl3 zlib1g \
    libcurl4 ca-certificates curl tzdata && rm -rf /var/lib/apt/lists/* \
  && useradd --system --uid 10001 --home-dir /var/lib/wardmote --create-home wardmote \
  && install -d -o wardmote -m 0700 /var/lib/wardmote/keys
COPY --from=build /build/src/server/wardmote /usr/bin/wardmote
COPY sample /usr/share/wardmote/sample
USER wardmote
ENTRYPOINT ["wardmote"]
CMD ["serve"]

FROM server AS migrate
USER root
RUN apt-get update && apt-get install -y --no-install-recommends postgresql-client && rm -rf /var/lib/apt/lists/*
USER wardmote
