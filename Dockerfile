# One image for the API and for workers: the command decides. Node comes from the project itself.
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
ENV NODE_ENV=production FOVEA_HOST=0.0.0.0 FOVEA_DATA_DIR=/var/lib/fovea PORT=4000
VOLUME /var/lib/fovea
EXPOSE 4000
ENTRYPOINT ["node", "--disable-warning=ExperimentalWarning", "src/main.ts"]
CMD ["start"]
