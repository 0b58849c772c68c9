/** What an order costs. */

import { Fail } from "outrigger";

export function price(order) {
  const total = order.items.reduce((sum, item) => sum + item.price * item.count, 0);
  if (total > 10_000) throw new Fail("too_much", `an order of ${total} has to be made by telephone`);
  return { total, lines: order.items.length };
}
