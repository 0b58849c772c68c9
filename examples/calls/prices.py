"""What an order costs."""


class TooMuch(Exception):
    """Nobody pays that much here."""


def price_order(order):
    """The price of all of it."""
    total = round(sum(item["price"] * item["count"] for item in order["items"]), 2)
    if total > 10_000:
        raise TooMuch(f"an order of {total} has to be made by telephone")
    return {"total": total, "lines": len(order["items"])}


def price_lines(order):
    """The price of each line, as soon as it is known."""
    for item in order["items"]:
        yield {"name": item["name"], "price": round(item["price"] * item["count"], 2)}


if __name__ == "__main__":
    from pathlib import Path

    import outrigger

    outrigger.serve(price_order, price_lines, socket=str(Path(__file__).with_name("prices.sock")))
