/** A shop. Its prices come from a function; one route of it is the function's own, the others are still Express'. */

import express from "express";
import { ArgumentsError, DomainError, expressProxy, SidecarClient, UnavailableError } from "outrigger";

const client = new SidecarClient({ socket: "calls.sock" });
const app = express();

// Moved over: the function answers. Where the sidecar is away the route below does, as before.
app.use(expressProxy({ fallback: true }).route("/api/price", "/price-order"));
app.post("/api/price", express.json(), (request, response) => {
  const { items } = request.body;
  response.json({ total: items.reduce((sum, item) => sum + item.price * item.count, 0), lines: items.length });
});

// Not moved: the route is here, and calls the function.
app.post("/api/invoice", express.json(), async (request, response, next) => {
  try {
    const { total } = await client.call("priceOrder", [request.body]);
    response.json({ invoice: `${total.toFixed(2)} EUR` });
  } catch (error) {
    if (error instanceof ArgumentsError) response.status(400).json({ errors: error.errors });
    else if (error instanceof DomainError) response.status(422).json({ error: error.message });
    else if (error instanceof UnavailableError) response.status(503).json({ error: "prices are not to be had at the moment" });
    else next(error);
  }
});

const port = Number(process.env.PORT ?? 3000);
const server = app.listen(port, "127.0.0.1", (error) => {
  if (error) {
    console.error(`the app cannot have port ${port} (${error.code}): PORT names another`);
    process.exit(1);
  }
  console.log(`http://127.0.0.1:${server.address().port}`);
});
