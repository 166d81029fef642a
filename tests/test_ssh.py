"""authorized_keys and sshd_config."""

import pytest
from hypothesis import given
from parser_checks import chosen, noise, parse

from volforensic.collection.parsers import ssh

KEY = b"AAAAC3NzaC1lZDI1NTE5AAAAIFhNNZ2javv7xOlapO9wpk2QESgEcxFZ7bIPxlqGwQaJ"
FINGERPRINT = "SHA256:sV3nVD+RDjgXNEpyskp1yDsc208/Cb0VTfzlgWNaReE"  # by ssh-keygen -l
CERTIFICATE = (
    b"AAAAIHNzaC1lZDI1NTE5LWNlcnQtdjAxQG9wZW5zc2guY29tAAAAINn++qtgAQIPUQ/sRUNUmt6jV5tS+hV1Xpiu94G4R6hmAAAA"
    b"IFhNNZ2javv7xOlapO9wpk2QESgEcxFZ7bIPxlqGwQaJAAAAAAAAAAAAAAABAAAAAmlkAAAABQAAAAF1AAAAAAAAAAD/////////"
    b"/wAAAAAAAACCAAAAFXBlcm1pdC1YMTEtZm9yd2FyZGluZwAAAAAAAAAXcGVybWl0LWFnZW50LWZvcndhcmRpbmcAAAAAAAAAFnBl"
    b"cm1pdC1wb3J0LWZvcndhcmRpbmcAAAAAAAAACnBlcm1pdC1wdHkAAAAAAAAADnBlcm1pdC11c2VyLXJjAAAAAAAAAAAAAAAzAAAA"
    b"C3NzaC1lZDI1NTE5AAAAILrZRuHkWz9w3QCGOHhXui5AThfppzfszLEmOsnMyIU2AAAAUwAAAAtzc2gtZWQyNTUxOQAAAEDh5vuL"
    b"89GgNUI/ZoOKttcln/DS4tJTzJOni9OFwmbQaR//Q5XkN0pw6RdYM7xtwb5iJg6jSOCvlpFpEHz/inYB"
)
ECDSA_KEY = (
    b"AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBBOmElfA85xGdhjI2pEfMekwHqtIkZi5+OFTrBsDn8d+u3O+"
    b"1P25z3WSnBqwKka986JL+xN/74Pm0ECPyRUJHYY="
)


def test_plain_key_with_comment_user_and_fingerprint() -> None:
    data = b"# mine\n\n  ssh-ed25519 " + KEY + b" anna@laptop of mine\r\n"
    assert parse(ssh.authorized_keys, data, home=b"/home/anna", user="anna") == [
        {
            "position": 8,
            "user": "anna",
            "key_type": "ssh-ed25519",
            "key": KEY.decode(),
            "fingerprint": FINGERPRINT,
            "comment": "anna@laptop of mine",
        }
    ]


def test_options_with_quotes_blanks_commas_and_backslashes() -> None:
    options = rb'no-pty,command="a \"b c\", d\n",from="10.0.0.0/8,*.example",environment="X=\"'
    rows = parse(ssh.authorized_keys, options + b'" ssh-ed25519 ' + KEY + b"\n")
    assert chosen(rows, "key_type", "fingerprint", "command", "options") == [
        (
            "ssh-ed25519",
            FINGERPRINT,
            'a "b c", d\\n',
            ["no-pty", r'command="a \"b c\", d\n"', 'from="10.0.0.0/8,*.example"', r'environment="X=\""'],
        )
    ]


@pytest.mark.parametrize(
    "kind",
    ["ssh-rsa", "ssh-dss", "ecdsa-sha2-nistp256", "sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com"],
)
def test_key_types(kind: str) -> None:
    for line in (f"{kind} AAAA x", f"cert-authority {kind} AAAA x", f"{kind.upper()} AAAA x"):
        assert parse(ssh.authorized_keys, line.encode())[0]["key_type"].lower() == kind


def test_fingerprints_are_those_of_ssh_keygen() -> None:
    assert ssh.fingerprint(KEY) == ssh.fingerprint(CERTIFICATE) == FINGERPRINT
    assert ssh.fingerprint(ECDSA_KEY) == "SHA256:1qNmtkc5F2KcqvILQxaFfzRUVbw+ZFiyIpMR77NYKKw"
    rows = parse(ssh.authorized_keys, b"ssh-ed25519-cert-v01@openssh.com " + CERTIFICATE)
    assert chosen(rows, "key_type", "fingerprint") == [("ssh-ed25519-cert-v01@openssh.com", FINGERPRINT)]


@pytest.mark.parametrize("key", [b"!!", b"AAAAB3Nza", b"A===", b"\xff\xfe", b"AAAA", b"A" * 60_001])
def test_a_broken_key_is_kept_without_a_fingerprint(key: bytes) -> None:
    rows = parse(ssh.authorized_keys, b"ssh-rsa " + key + b" c\nssh-ed25519 " + KEY)
    assert chosen(rows, "comment", "fingerprint") == [("c", None), (None, FINGERPRINT)]
    assert rows[0]["key"]


def test_version_1_keys_and_bytes_that_are_not_utf8() -> None:
    rows = parse(
        ssh.authorized_keys, b"no-pty 1024 65537 12345678901234567890123 a\xff\nssh-ed25519 " + KEY + b" caf\xe9\n"
    )
    assert chosen(rows, "key_type", "comment", "comment_bytes", "options") == [
        ("rsa1", "a\\xff", "Yf8=", ["no-pty"]),
        ("ssh-ed25519", "caf\\xe9", "Y2Fm6Q==", None),
    ]


def test_redis_dump_around_a_key() -> None:
    rows = parse(ssh.authorized_keys, b"REDIS0009\xfa\0x\n\n\nssh-ed25519 " + KEY + b" x\n\n\n\xff\0\n")
    assert chosen(rows, "unparsed", "comment") == [(True, None), (None, "x"), (True, None)]


@pytest.mark.parametrize(
    "line", [b"ssh-rsa", b'command="a ssh-rsa AAAA', b"no-pty,", b"a, b ssh-rsa AAAA", b"\\" * 5000]
)
def test_lines_that_sshd_would_not_take_are_unparsed(line: bytes) -> None:
    assert chosen(parse(ssh.authorized_keys, line), "unparsed", "key") == [(True, None)]


def test_the_user_outside_homes_is_the_files_name() -> None:
    assert parse(ssh.authorized_keys, b"ssh-rsa AAAA", b"/etc/ssh/authorized_keys/anna")[0]["user"] == "anna"
    assert "user" not in parse(ssh.authorized_keys, b"ssh-rsa AAAA", b"/srv/x/.ssh/authorized_keys", home=b"/srv/x")[0]


def test_settings_in_every_form() -> None:
    data = b'Port 22\n  PasswordAuthentication=no \nbanner = "/etc/issue net"\r\n# c\n!!\nUsePAM\nX\xff y\n'
    assert chosen(parse(ssh.sshd_config, data), "position", "keyword", "value", "unparsed") == [
        (0, "Port", "22", None),
        (8, "PasswordAuthentication", "no", None),
        (37, "banner", "/etc/issue net", None),
        (data.index(b"!!"), None, None, True),
        (data.index(b"UsePAM"), None, None, True),
        (data.index(b"X"), None, None, True),
    ]


def test_match_blocks_hold_until_the_next() -> None:
    rows = parse(ssh.sshd_config, b"Port 1\nmatch User anna,ben Address 10.*\n Port 2\nMatch all\nPort 3\n")
    assert [row.get("match") for row in rows] == [None, *["User anna,ben Address 10.*"] * 2, *["all"] * 2]


def test_includes_are_absolute_globs() -> None:
    rows = parse(ssh.sshd_config, b'INCLUDE a/*.conf /etc/x "/y z/**" # c\nInclude=b\n')
    assert [row["include"] for row in rows] == [["/etc/ssh/a/*.conf", "/etc/x", "/y z/*"], ["/etc/ssh/b"]]


@pytest.mark.parametrize(
    ("value", "patterns"),
    [
        (".ssh/authorized_keys .ssh/k2", ["~/.ssh/authorized_keys", "~/.ssh/k2"]),
        ("%h/.ssh/k /etc/keys/%u /etc/keys/%U.pub", ["~/.ssh/k", "/etc/keys/*", "/etc/keys/*.pub"]),
        ("/k/100%%/%u", ["/k/100%/*"]),
        ("none", []),
        ("NONE", []),
        ('"/a b/%u"', ["/a b/*"]),
        ("/srv%h/k", ["/srv/**/k"]),
        ("/a~b/%u%u", ["/a~b/*"]),
        ("/a/../b/./%u", ["/b/*"]),
        ("../../etc/shadow", []),
        ("/x/***/y", ["/x/*/y"]),
    ],
)
def test_authorized_keys_patterns(value: str, patterns: list[str]) -> None:
    assert parse(ssh.sshd_config, f"AuthorizedKeysFile {value}\n".encode())[0]["authorized_keys_patterns"] == patterns


@given(
    noise(
        [b"ssh-rsa ", b"AAAA", KEY, CERTIFICATE, b'command="', b"no-pty,", b"1024 65537 123456789012345678901", b'\\"']
    )
)
def test_any_bytes_of_authorized_keys(data: bytes) -> None:
    parse(ssh.authorized_keys, data, b"/etc/ssh/authorized_keys/\xff")


@given(noise([b"Match ", b"Include ", b"AuthorizedKeysFile ", b"%h", b"%u", b"%%", b"..", b"/", b"**", b"'", b"yes"]))
def test_any_bytes_of_sshd_config(data: bytes) -> None:
    for row in parse(ssh.sshd_config, data):
        for glob in [*row.get("include", []), *row.get("authorized_keys_patterns", [])]:
            assert glob.startswith(("/", "~"))
