// @fastify/http-proxy: `fastify.cjs PORT UPSTREAM_PORT`. It keeps connections by itself.

const fastify = require("fastify")();

const [port, upstream] = process.argv.slice(2);
fastify.register(require("@fastify/http-proxy"), { upstream: `http://127.0.0.1:${upstream}` });
fastify.listen({ port: Number(port), host: "127.0.0.1" });
