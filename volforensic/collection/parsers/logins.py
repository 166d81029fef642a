"""Login databases: wtmp, btmp and utmp (utmp(5)) and lastlog (lastlog(8)).

Only allocated ranges are read: lastlog of a host with a large uid is a hole of terabytes. A hole reads as zeros, so a
record that reaches into one is filled up with them.
"""

import re
from collections.abc import Generator, Iterator

from volforensic.collection.content import Block, Content
from volforensic.collection.parsers.login_records import (
    LATEST,
    TYPES,
    Layout,
    Login,
    address_text,
    best_lastlog_layout,
    best_utmp_layout,
    filled_chunks,
    is_line,
    is_login,
    is_lost,
    is_time,
    login,
    samples,
    seconds_of,
    string,
)
from volforensic.record import Row, text_fields

_HOLES_LIMIT = 1000
_SECONDS_LIMIT = (1 << 63) // 1_000_000 - 1
_NOT_ZERO = re.compile(rb"[^\0]")
_HEADS = {
    "<": re.compile(rb"[\x01-\x09]\0\0\0(?=....[\x20-\x7e\0])", re.DOTALL),
    ">": re.compile(rb"\0[\x01-\x09]\0\0(?=....[\x20-\x7e\0])", re.DOTALL),
}
"""How a used record begins in either byte order: its type and two bytes of padding."""
_DESCRIPTIONS = {
    "RUN_LVL": "Run level changed",
    "BOOT_TIME": "Booted",
    "NEW_TIME": "Clock set, new time",
    "OLD_TIME": "Clock set, old time",
    "INIT_PROCESS": "Process started by init",
    "LOGIN_PROCESS": "Waiting for a login",
    "USER_PROCESS": "Logged in",
    "DEAD_PROCESS": "Logged out",
}


def utmp(content: Content) -> Iterator[Row]:
    """Yield a row for each record of a utmp file; the record's size and byte order are those that fit best.

    Bytes that are no record become ``unparsed`` rows of at most a record's size; reading goes on at the next place
    where a record begins. ``suspicious`` says why a record is odd: zeroed, without a time, without a user.
    """
    database = _database(content.source.path)
    layout = best_utmp_layout(samples(content))
    holes: list[tuple[int, int]] = []
    rest = Block(0, b"")
    for chunk in filled_chunks(content):
        end = rest.position + len(rest.data)
        current = Block(rest.position, rest.data + chunk.data)
        if chunk.position != end:
            is_hole = not is_lost(content, end, chunk.position)
            holes += [(end, chunk.position)] if is_hole else []
            current = yield from (_over_hole if is_hole else _over_loss)(layout, database, rest, chunk)
        rest = yield from _records(layout, database, current, is_last=False)
    rest = yield from _records(layout, database, rest, is_last=True)
    if rest.data:
        yield _damaged(database, rest, f"cut record: {len(rest.data)} of {layout.size} bytes")
    yield from _hole_rows(database, layout, holes)


def _over_hole(layout: Layout, database: str, rest: Block, chunk: Block) -> Generator[Row, None, Block]:
    """Yield the record that a hole cuts, filled up with its zeros; return the chunk from a record's start on."""
    if rest.data:
        whole = -(-len(rest.data) // layout.size) * layout.size
        filled = Block(rest.position, rest.data.ljust(whole, b"\0"))
        rest = yield from _records(layout, database, filled, is_last=True)
        if rest.data:
            yield _damaged(database, rest, "no login record")
    lead = (chunk.position - rest.position - len(rest.data)) % layout.size
    return Block(chunk.position - lead, bytes(lead) + chunk.data)


def _over_loss(layout: Layout, database: str, rest: Block, chunk: Block) -> Generator[Row, None, Block]:
    """Yield what is left of the records that an unreadable range cuts; return the chunk from the next record on."""
    rest = yield from _records(layout, database, rest, is_last=True)
    following = min((rest.position - chunk.position) % layout.size, len(chunk.data))
    for part in (rest, Block(chunk.position, chunk.data[:following])):
        if part.data:
            yield _damaged(database, part, "cut by a range that could not be read")
    return Block(chunk.position + following, chunk.data[following:])


def _records(layout: Layout, database: str, block: Block, *, is_last: bool) -> Generator[Row, None, Block]:
    """Yield the rows of a block that begins with a record; return what is left of it.

    A record more is left where the block is not the last, so that there are always bytes to find the next one in.
    """
    size, data = layout.size, block.data
    limit = len(data) - size * (1 if is_last else 2)
    offset = 0
    while offset <= limit:
        record = login(layout, data, offset)
        position = block.position + offset
        if record.type == 0 and data.count(0, offset, offset + size) == size:
            yield {
                "position": position,
                "database": database,
                "type": "EMPTY",
                "record_size": size,
                "suspicious": "zeroed record",
            }
        elif is_login(record):
            yield _login_row(layout, database, position, record)
        else:
            following = _next_record(layout, data, offset)
            yield _damaged(database, Block(position, data[offset:following]), "no login record")
            offset = following
            continue
        offset += size
    return Block(block.position + offset, data[offset:])


def _next_record(layout: Layout, data: bytes, offset: int) -> int:
    """Return where reading goes on after bytes that are no record: one size on, or earlier where a record begins."""
    aligned = offset + layout.size
    if aligned + layout.size <= len(data) and _is_sure(login(layout, data, aligned)):
        return aligned
    for found in _HEADS[layout.record.format[0]].finditer(data, offset + 1, min(aligned + 4, len(data))):
        if found.start() + layout.size > len(data):
            break
        if _is_sure(login(layout, data, found.start())):
            return found.start()
    return min(aligned, len(data))


def _is_sure(record: Login) -> bool:
    return record.type > 0 and is_login(record) and is_time(record.seconds) and record.padding == b"\0\0"


def _login_row(layout: Layout, database: str, position: int, record: Login) -> Row:
    kind = TYPES[record.type]
    description = "Failed login" if database == "btmp" else _DESCRIPTIONS.get(kind, "Recorded")
    row: Row = {
        "position": position,
        "timestamp": _microseconds(record.seconds, record.microseconds),
        "timestamp_desc": description,
        "database": database,
        "type": kind,
        "pid": record.pid,
        "session": record.session,
        "record_size": layout.size,
    }
    # init writes the kernel's release where other records have the remote host
    host = "kernel" if kind in {"RUN_LVL", "BOOT_TIME", "NEW_TIME", "OLD_TIME"} else "remote_host"
    for name, field in (("user", record.user), ("terminal", record.line), (host, record.host)):
        if value := string(field):
            row.update(text_fields(name, value))
    if address := address_text(record.address):
        row["remote_address"] = address
    if kind == "DEAD_PROCESS":
        row["exit_status"] = record.exit
    if reason := _suspicion(database, kind, record):
        row["suspicious"] = reason
    return row


def _suspicion(database: str, kind: str, record: Login) -> str:
    if not is_time(record.seconds):
        return _odd_time(record.seconds)
    if kind == "USER_PROCESS" and database != "btmp" and not record.user[:1].strip(b"\0"):
        return "login without a user name"
    return ""


def _odd_time(seconds: int) -> str:
    if seconds == 0:
        return "no time"
    return "time after 2038" if seconds > LATEST else "time before 1990"


def _damaged(database: str, block: Block, reason: str) -> Row:
    return {
        "position": block.position,
        "unparsed": True,
        "database": database,
        "suspicious": reason,
        **text_fields("raw", block.data),
    }


def _hole_rows(database: str, layout: Layout, holes: list[tuple[int, int]]) -> Iterator[Row]:
    """Yield a row for each hole: it reads as zeroed records, and a program that only appends leaves none."""
    for start, end in holes[:_HOLES_LIMIT]:
        reason = f"hole of {end - start} bytes: reads as zeroed records"
        yield {"position": start, "database": database, "record_size": layout.size, "suspicious": reason}
    if len(holes) > _HOLES_LIMIT:
        reason = f"{len(holes) - _HOLES_LIMIT} more holes"
        yield {"position": holes[_HOLES_LIMIT][0], "database": database, "suspicious": reason}


def _database(path: bytes) -> str:
    name = path.rpartition(b"/")[2]
    return next((database for database in ("btmp", "utmp") if name.startswith(database.encode())), "wtmp")


def _microseconds(seconds: int, microseconds: int) -> int | None:
    return seconds * 1_000_000 + microseconds if abs(seconds) < _SECONDS_LIMIT else None


def lastlog(content: Content) -> Iterator[Row]:
    """Yield each account's last login; the uid is the record's number, and an all-zero record (never) gives no row."""
    layout = best_lastlog_layout(samples(content))
    size = layout.size
    for block in _whole_records(content, size):
        found = _NOT_ZERO.search(block.data)
        while found:
            offset = found.start() // size * size
            yield _last_login(layout, block.position + offset, block.data[offset : offset + size])
            found = _NOT_ZERO.search(block.data, offset + size)


def _whole_records(content: Content, size: int) -> Iterator[Block]:
    """Yield blocks that begin at a record's start and end at a record's end, but for the last of the file."""
    rest = Block(0, b"")
    for chunk in filled_chunks(content):
        end = rest.position + len(rest.data)
        if chunk.position != end:
            if rest.data:
                yield Block(rest.position, rest.data.ljust(size, b"\0"))
            lead = chunk.position % size
            rest = Block(chunk.position - lead, bytes(lead))
        data = rest.data + chunk.data
        whole = len(data) // size * size
        if whole:
            yield Block(rest.position, data[:whole])
        rest = Block(rest.position + whole, data[whole:])
    if rest.data:
        yield rest


def _last_login(layout: Layout, position: int, data: bytes) -> Row:
    if len(data) < layout.size:
        reason = f"cut record: {len(data)} of {layout.size} bytes"
        return {"position": position, "unparsed": True, "suspicious": reason, **text_fields("raw", data)}
    seconds, line, host = layout.record.unpack(data)
    seconds = seconds if layout.wide else seconds_of(seconds)
    if not is_line(line):
        return {"position": position, "unparsed": True, "suspicious": "no lastlog record", **text_fields("raw", data)}
    row: Row = {
        "position": position,
        "timestamp": _microseconds(seconds, 0),
        "timestamp_desc": "Last logged in",
        "uid": position // layout.size,
    }
    for name, field in (("terminal", line), ("remote_host", host)):
        if value := string(field):
            row.update(text_fields(name, value))
    if not is_time(seconds):
        row["suspicious"] = _odd_time(seconds)
    return row
