# cloze serve. Everything is compiled here; a container only starts Node.
FROM node:20-slim AS build
RUN apt-get update && apt-get install -y --no-install-recommends g++ && rm -rf /var/lib/apt/lists/*
WORKDIR /cloze
COPY package.json package-lock.json ./
COPY packages/tensor/package.json packages/tensor/
COPY packages/tensor/npm packages/tensor/npm
COPY packages/cloze/package.json packages/cloze/
COPY packages/workbench/package.json packages/workbench/
COPY test/fixtures/no-package test/fixtures/no-package
RUN npm ci --no-audit --no-fund
COPY . .
RUN npm run build && npm prune --omit=dev --no-audit --no-fund

FROM node:20-slim
ENV NODE_ENV=production
WORKDIR /cloze
COPY --from=build /cloze/node_modules node_modules
COPY --from=build /cloze/packages packages
USER node
EXPOSE 3000
HEALTHCHECK --interval=5s --start-period=30s CMD ["node", "-e", "fetch('http://127.0.0.1:3000/readyz').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "/cloze/packages/cloze/dist/cli/main.js", "serve", "--host", "0.0.0.0"]
