"""A package of an rpm database: from its header to its claims.

Tags, file flags, states and verification flags: rpm's include/rpm/rpmtag.h, rpmfiles.h, rpmvf.h; digest algorithms are
those of OpenPGP (RFC 9580, section 9.5), MD5 where the package does not say.
"""

from collections.abc import Iterator

from volforensic.inventory.packages import claims as claim_flags
from volforensic.inventory.packages.accounts import Accounts
from volforensic.inventory.packages.claims import (
    DIRECTORY,
    FILE,
    SPECIAL,
    SYMLINK,
    Claim,
    Claims,
    Lost,
    hex_digest,
    normal_path,
    package_name,
)
from volforensic.inventory.packages.rpm_header import Header, HeaderError

_NAME, _VERSION, _RELEASE, _EPOCH = 1000, 1001, 1002, 1003
_OLD_FILE_NAMES = 1027
_SIZES, _STATES, _MODES, _DIGESTS, _LINK_TARGETS, _FLAGS = 1028, 1029, 1030, 1035, 1036, 1037
_USERS, _GROUPS, _VERIFY = 1039, 1040, 1045
_DIRECTORY_INDEXES, _BASE_NAMES, _DIRECTORY_NAMES = 1116, 1117, 1118
_LONG_SIZES, _CAPABILITIES, _ALGORITHM = 5008, 5010, 5011
_ALGORITHMS = {1: "md5", 2: "sha1", 8: "sha256", 10: "sha512"}
_IS_CONFIG, _IS_DOCUMENTATION, _MAY_MISS, _IS_GHOST = 1, 2, 8, 64
_STATE_NORMAL = 0
_VERIFY_DIGEST, _VERIFY_SIZE, _VERIFY_LINK, _VERIFY_USER, _VERIFY_GROUP, _VERIFY_MODE, _VERIFY_CAPABILITIES = (
    1, 2, 4, 8, 16, 64, 256,
)  # fmt: skip
_EVERYTHING = 0xFFFFFFFF
_LONGEST_CAPABILITIES = 2000
_KINDS = {0o100000: FILE, 0o040000: DIRECTORY, 0o120000: SYMLINK}


def package_claims(blob: bytes, accounts: Accounts) -> Iterator[Claims | Lost]:
    """Yield the claims of the package that a header describes, and what is lost where it is damaged.

    A header that was changed after its package was made proves nothing: its paths are claimed without more.
    """
    package = package_name(b"", b"", "rpm")
    try:
        header = Header(blob)
        package = package_name(header.first(_NAME), _version(header), "rpm")
        if not package.name:
            yield Lost("a package of the rpm database has no name")
            return
        claims = list(_claims(header, accounts))
        if header.contradicts_itself():
            yield Lost(f"package {package.name}: its entry in the rpm database was edited or is damaged", hides=False)
            claims = [Claim(claim.path, flags=claim.flags) for claim in claims]
        yield Claims(package, claims)
    except HeaderError as error:
        yield Lost(f"package {package.name or 'of no name'} of the rpm database: {error}")


def _version(header: Header) -> bytes:
    epoch = header.numbers(_EPOCH)
    version = header.first(_VERSION) + b"-" + header.first(_RELEASE)
    return b"%d:%b" % (epoch[0], version) if epoch else version


def _claims(header: Header, accounts: Accounts) -> Iterator[Claim]:
    paths = _paths(header)
    columns = _Columns(header, len(paths), accounts)
    for number, path in enumerate(paths):
        normal = normal_path(path)
        if normal is not None and normal != b"/" and columns.is_installed(number):
            yield columns.claim(number, normal)


def _paths(header: Header) -> list[bytes]:
    names = header.strings(_BASE_NAMES)
    if not names:
        return header.strings(_OLD_FILE_NAMES)
    folders, indexes = header.strings(_DIRECTORY_NAMES), header.numbers(_DIRECTORY_INDEXES)
    if len(indexes) != len(names) or max(indexes) >= len(folders):
        raise HeaderError("its files have no directories")
    return [folders[index] + name for index, name in zip(indexes, names, strict=True)]


class _Columns:
    """Holds the columns of a package's files, each empty or as long as the list of its paths."""

    def __init__(self, header: Header, count: int, accounts: Accounts) -> None:
        def numbers(tag: int) -> tuple[int, ...]:
            column = header.numbers(tag)
            _check_length(tag, len(column), count)
            return column

        def strings(tag: int) -> list[bytes]:
            column = header.strings(tag)
            _check_length(tag, len(column), count)
            return column

        self._states, self._modes, self._flags = numbers(_STATES), numbers(_MODES), numbers(_FLAGS)
        self._sizes = numbers(_LONG_SIZES) or numbers(_SIZES)
        self._verify = numbers(_VERIFY)
        self._digests, self._targets = strings(_DIGESTS), strings(_LINK_TARGETS)
        self._capabilities = strings(_CAPABILITIES)
        users = {name: accounts.user(name) for name in set(strings(_USERS))}
        groups = {name: accounts.group(name) for name in set(strings(_GROUPS))}
        self._uids = [users[name] for name in strings(_USERS)]
        self._gids = [groups[name] for name in strings(_GROUPS)]
        self._algorithm = _ALGORITHMS.get((header.numbers(_ALGORITHM) or (1,))[0], "")

    def is_installed(self, number: int) -> bool:
        """Return whether the file was unpacked and is still this package's: documentation may have been left out."""
        return not self._states or self._states[number] == _STATE_NORMAL

    def claim(self, number: int, path: bytes) -> Claim:
        raw = self._flags[number] if self._flags else 0
        verify = self._verify[number] if self._verify else _EVERYTHING
        mode = self._modes[number] if self._modes else 0
        kind = (_KINDS.get(mode & 0o170000, SPECIAL) if mode else "") if not raw & _IS_GHOST else ""
        digest = b""
        if kind == FILE and self._digests and self._algorithm:
            digest = hex_digest(self._digests[number], self._algorithm)
        return Claim(
            path,
            kind=kind,
            algorithm=self._algorithm if digest else "",
            digest=digest,
            flags=_flags(raw, verify),
            mode=mode & 0o7777 if mode and verify & _VERIFY_MODE and kind != SYMLINK else -1,
            size=self._sizes[number] if kind == FILE and self._sizes and verify & _VERIFY_SIZE else -1,
            uid=self._uids[number] if self._uids and verify & _VERIFY_USER else -1,
            gid=self._gids[number] if self._gids and verify & _VERIFY_GROUP else -1,
            targets=self._link(number) if kind == SYMLINK and verify & _VERIFY_LINK else (),
            capabilities=self._capability(number) if kind == FILE and verify & _VERIFY_CAPABILITIES else None,
        )

    def _link(self, number: int) -> tuple[bytes, ...]:
        return (self._targets[number],) if self._targets and self._targets[number] else ()

    def _capability(self, number: int) -> str:
        return (
            self._capabilities[number][:_LONGEST_CAPABILITIES].decode("ascii", "replace") if self._capabilities else ""
        )


def _check_length(tag: int, length: int, count: int) -> None:
    if length not in (0, count):
        raise HeaderError(f"it has {count} files and {length} values of tag {tag}")


def _flags(raw: int, verify: int) -> int:
    return (
        (claim_flags.CONFIG if raw & _IS_CONFIG else 0)
        | (claim_flags.GHOST if raw & _IS_GHOST else 0)
        | (claim_flags.OPTIONAL if raw & _MAY_MISS else 0)
        | (claim_flags.DOCUMENTATION if raw & _IS_DOCUMENTATION else 0)
        | (0 if verify & _VERIFY_DIGEST else claim_flags.NO_DIGEST_CHECK)
    )
