"""Which containers the hosts have."""

from volforensic.record import Row
from volforensic.report.bounds import chosen, cut, listing

CONTAINER_LIMIT = 200
_COLUMNS = (
    *("path", "engine", "container_id", "name", "image", "driver"),
    *("state", "created", "started", "finished", "os"),
)


def describe_containers(said: object) -> Row:
    """Return ``{containers: listing}``; nothing where there are none. ``said`` is that key of evidence.json."""
    rows = [row for row in said if isinstance(row, dict)] if isinstance(said, list) else []
    if not rows:
        return {}
    return {"containers": listing((_container(row) for row in rows), CONTAINER_LIMIT)}


def _container(row: Row) -> Row:
    layers = row.get("layers")
    layers = layers if isinstance(layers, list) else []
    upper = layers[0].get("path") if layers and isinstance(layers[0], dict) else ""
    return chosen(row, _COLUMNS) | {"layers": len(layers), "upper_layer": cut(str(upper or ""))}
