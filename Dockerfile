# cloze serve. Everything is compiled here; a container only starts Node.
FROM node:24-slim AS build
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
# Node keeps what it has compiled when it ends: a server is started once here, so that containers need not compile it again.
ENV NODE_COMPILE_CACHE=/cloze/compile-cache
RUN node packages/cloze/dist/cli/main.js serve --model packages/cloze/test/fixtures/embedders/folders/weighted-layers & server=$!; \
  until node -e "fetch('http://127.0.0.1:3000/readyz').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"; do kill -0 $server || exit 1; sleep 1; done; \
  kill $server && wait $server

FROM node:24-slim
ENV NODE_ENV=production NODE_COMPILE_CACHE=/cloze/compile-cache
WORKDIR /cloze
COPY --from=build /cloze/node_modules node_modules
COPY --from=build /cloze/packages packages
COPY --from=build --chown=node /cloze/compile-cache compile-cache
USER node
EXPOSE 3000
HEALTHCHECK --interval=5s --start-period=30s CMD ["node", "-e", "fetch('http://127.0.0.1:3000/readyz').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "/cloze/packages/cloze/dist/cli/main.js", "serve", "--host", "0.0.0.0"]
