// http-proxy-middleware on Node's own server: `middleware.cjs PORT UPSTREAM_PORT`.

const http = require("node:http");
const { createProxyMiddleware } = require("http-proxy-middleware");

const [port, upstream] = process.argv.slice(2);
const agent = new http.Agent({ keepAlive: true });
const proxy = createProxyMiddleware({ target: `http://127.0.0.1:${upstream}`, agent, xfwd: true });
http.createServer((request, response) => proxy(request, response)).listen(Number(port), "127.0.0.1");
