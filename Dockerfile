# One image for the API and for workers: the command decides. Debian, since Node's and PostgreSQL's binaries are for glibc.
FROM node:22-bookworm-slim AS install
WORKDIR /opt/fovea
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev

FROM node:22-bookworm-slim
WORKDIR /opt/fovea
COPY --from=install /opt/fovea/node_modules node_modules
COPY package.json ./
COPY prisma prisma
COPY models models
COPY src src
RUN useradd --system --create-home --home-dir /var/lib/fovea fovea
USER fovea
# ONNX Runtime reports to its maker unless it is told not to.
ENV NODE_ENV=production ORT_DISABLE_TELEMETRY=1 FOVEA_HOST=0.0.0.0 FOVEA_DATA_DIR=/var/lib/fovea PORT=4000
# What an unloaded model took goes back to the system, and threads share what they were given.
ENV MALLOC_MMAP_THRESHOLD_=1048576 MALLOC_TRIM_THRESHOLD_=8388608 MALLOC_ARENA_MAX=2
VOLUME /var/lib/fovea
EXPOSE 4000
ENTRYPOINT ["node", "--disable-warning=ExperimentalWarning", "--min-semi-space-size=16", "src/main.ts"]
CMD ["start"]
