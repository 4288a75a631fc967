FROM node:24-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json ./
COPY service service
COPY test test
RUN npm run build

FROM node:24-slim AS packages
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund

# The demo's middleware, page and stream; no part of the product.
FROM node:24-slim AS demo
WORKDIR /app
# A new volume takes its owner from this folder.
RUN install -d -o node -g node /srv/hls
COPY package.json ./
COPY --from=packages /app/node_modules node_modules
COPY --from=build /app/node_modules/hls.js/package.json node_modules/hls.js/
COPY --from=build /app/node_modules/hls.js/dist/hls.min.js node_modules/hls.js/dist/
COPY test/demo/media test/demo/media
COPY test/demo/player test/demo/player
COPY --from=build /app/dist dist
ENV NODE_ENV=production
USER node
CMD ["node", "dist/test/demo/container.js"]

# The service, last: what `docker build .` makes.
FROM node:24-slim AS service
WORKDIR /app
# Sessions for the next start; a new volume takes its owner from this folder.
RUN install -d -o node -g node -m 700 /var/lib/nginx-hls-auth
COPY package.json ./
COPY --from=packages /app/node_modules node_modules
COPY --from=build /app/dist/service dist/service
ENV NODE_ENV=production HOST=0.0.0.0
USER node
HEALTHCHECK --interval=5s --timeout=3s --retries=3 \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT || 3000}/healthz`).then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
CMD ["node", "dist/service/main.js"]
