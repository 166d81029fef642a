"""Names of users and groups to numbers, by the host's own passwd and group files (passwd(5), group(5))."""

_ROOT = {b"root": 0}
_MOST = 200_000


class Accounts:
    """Holds the host's users and groups."""

    def __init__(self, passwd: bytes = b"", group: bytes = b"") -> None:
        """Take the bytes of /etc/passwd and /etc/group; root is 0 in any case."""
        self._users = _numbers(passwd)
        self._groups = _numbers(group)

    def user(self, name: bytes) -> int:
        """Return a user's number, also of ``#number``; -1 where nobody knows."""
        return _number(name, self._users)

    def group(self, name: bytes) -> int:
        """Return a group's number, also of ``#number``; -1 where nobody knows."""
        return _number(name, self._groups)


def _numbers(data: bytes) -> dict[bytes, int]:
    found = dict(_ROOT)
    for line in data.split(b"\n")[:_MOST]:
        fields = line.split(b":")
        if len(fields) >= 3 and fields[0] and fields[2].isdigit() and len(fields[2]) <= 10:
            found.setdefault(fields[0], int(fields[2]))
    return found


def _number(name: bytes, known: dict[bytes, int]) -> int:
    if name.startswith(b"#") and name[1:].isdigit() and len(name) <= 11:
        return int(name[1:])
    return known.get(name, -1)
