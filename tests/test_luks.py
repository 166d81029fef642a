"""LUKS volumes: opened with what opens them, refused by name, damaged and hostile headers."""

import json
import shutil
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from byte_media import ByteMedium, all_of, opened
from media import handle_of

from images import luks as recipes
from images.luks import HEADER_SIZE, KEY, USUAL, header_copy, luks1, luks2
from volforensic.evidence.maps import Crypt, Joined, Map
from volforensic.evidence.reader import Window
from volforensic.evidence.volumes.crypt import open_crypt
from volforensic.evidence.volumes.foreign import foreign_kind
from volforensic.evidence.volumes.luks import luks_version, unlock
from volforensic.evidence.volumes.luks_header import Kdf, LuksError
from volforensic.evidence.volumes.luks_keys import Allowance, check_cost, merge
from volforensic.evidence.volumes.mapped import Member
from volforensic.evidence.volumes.unlock_messages import Secrets, UnlockArguments, Unlocked, unlock_limits
from volforensic.medium import Medium
from volforensic.sandbox.confinement import Limits
from volforensic.sandbox.pool import Pool, Task

PLAIN = bytes(range(251)) * 40 + bytes(200)  # 10,240 bytes
FIRST, SECOND = b"correct horse", b"battery staple"
RIGHT = Secrets(passphrases=(b"wrong", SECOND))
Edit = Callable[[dict[str, Any]], None]


def opening(volume: bytes, secrets: Secrets = RIGHT, allowance: Allowance | None = None) -> Unlocked:
    """Unlock a volume that lies in the middle of a space."""
    space = ByteMedium(bytes(512) + volume + bytes(512))
    member = Member(3, 512, len(volume))
    return unlock(space, member, secrets) if allowance is None else unlock(space, member, secrets, 0, allowance)


def plain(unlocked: Unlocked, volume: bytes) -> bytes:
    """Return what is in an unlocked volume."""
    assert unlocked.volume is not None, [problem.reason for problem in unlocked.problems]
    content = all_of(decrypted(unlocked.volume.map, ByteMedium(bytes(512) + volume + bytes(512)), unlocked.keys))
    assert len(content) == unlocked.volume.length
    return content


def decrypted(node: Map, space: Medium, keys: tuple[bytes, ...]) -> Medium:
    if isinstance(node, Crypt):
        return open_crypt(node, opened(node.data, space), keys[node.key])
    if isinstance(node, Joined):
        return ByteMedium(b"".join(all_of(decrypted(part, space, keys)) for part in node.parts))
    return opened(node, space)


def reasons(unlocked: Unlocked) -> str:
    return "; ".join(problem.reason for problem in unlocked.problems)


@pytest.mark.parametrize(
    "recipe",
    [
        USUAL,
        USUAL._replace(cipher="aes-cbc-essiv:sha256", key=KEY[:32], hash="sha1"),
        USUAL._replace(cipher="aes-cbc-plain64", key=KEY[:16], hash="sha512"),
        USUAL._replace(cipher="aes-xts-plain", key=KEY[:32], hash="sha256", stripes=1),
    ],
)
def test_luks1_opens(recipe: recipes.Recipe) -> None:
    volume = luks1(PLAIN, [FIRST, SECOND], recipe)
    unlocked = opening(volume)
    assert plain(unlocked, volume) == PLAIN
    assert unlocked.keys == (recipe.key,)
    assert unlocked.problems == []
    found = unlocked.volume
    assert found is not None
    assert (found.kind, found.uuid, found.members) == ("luks", recipes.UUID, [3])
    assert found.description == f"LUKS1, {recipe.cipher}, 2 keyslots, pbkdf2"
    assert found.names == [f"/dev/mapper/luks-{recipes.UUID}"]


@pytest.mark.parametrize(
    "recipe",
    [
        USUAL,
        USUAL._replace(sector_size=4096),
        USUAL._replace(sector_size=2048, first_sector=77, hash="sha512"),
        USUAL._replace(kdf="argon2id"),
        USUAL._replace(kdf="argon2i", cipher="aes-cbc-essiv:sha256", key=KEY[:32]),
    ],
)
def test_luks2_opens(recipe: recipes.Recipe) -> None:
    content = PLAIN[:8192]
    volume = luks2(content, [FIRST, SECOND], recipe)
    unlocked = opening(volume)
    assert plain(unlocked, volume) == content
    assert unlocked.problems == []


def test_a_key_file_and_a_volume_key_open_it_too() -> None:
    volume = luks2(PLAIN, [FIRST])
    assert plain(opening(volume, Secrets(key_files=(FIRST,))), volume) == PLAIN
    assert plain(opening(volume, Secrets(volume_keys=(KEY[:32], KEY))), volume) == PLAIN
    assert opening(volume, Secrets(volume_keys=(KEY[:63],))).volume is None


def test_the_number_of_the_first_key_is_the_callers() -> None:
    volume = luks1(PLAIN, [FIRST])
    found = unlock(ByteMedium(volume), Member(1, 0, len(volume)), Secrets((FIRST,)), 5).volume
    assert found is not None
    assert isinstance(found.map, Crypt)
    assert found.map.key == 5


@pytest.mark.parametrize(
    ("make", "described"),
    [
        (luks1(PLAIN, [FIRST]), "LUKS1, aes-xts-plain64, 1 keyslot, pbkdf2"),
        (luks2(PLAIN, [FIRST, SECOND], USUAL._replace(kdf="argon2id")), "LUKS2, aes-xts-plain64, 2 keyslots, argon2id"),
    ],
)
def test_without_a_right_key_it_is_lost_and_says_so(make: bytes, described: str) -> None:
    none = opening(make, Secrets())
    (problem,) = none.problems
    wanted = f"encrypted ({described}): no key was given; use --passphrase-file or --key-file"
    assert (problem.reason, problem.lost) == (wanted, True)
    assert (problem.volume, problem.offset, problem.length) == (3, 512, len(make))
    wrong = opening(make, Secrets((b"a",), (b"b",)))
    assert reasons(wrong) == f"encrypted ({described}): none of the 2 keys given opens it"
    assert (none.volume, wrong.volume, wrong.keys) == (None, None, ())


def test_a_keyslot_that_was_wiped_is_not_found_and_another_is() -> None:
    volume = bytearray(luks1(PLAIN, [FIRST, SECOND]))
    struct.pack_into(">I", volume, 208, 0x0000DEAD)
    assert opening(bytes(volume), Secrets((FIRST,))).volume is None
    assert opening(bytes(volume)).volume is not None


# The two copies of a LUKS2 header


def test_the_second_copy_is_read_where_the_first_is_damaged() -> None:
    volume = bytearray(luks2(PLAIN, [SECOND]))
    volume[5000] ^= 1
    unlocked = opening(bytes(volume))
    assert plain(unlocked, bytes(volume)) == PLAIN
    assert "byte 0 is unsound: its checksum is wrong" in reasons(unlocked)
    assert f"second copy, at byte {HEADER_SIZE}, is taken" in reasons(unlocked)
    assert not any(problem.lost for problem in unlocked.problems)


def test_a_header_that_begins_with_zeros_is_still_known() -> None:
    volume = bytes(4096) + luks2(PLAIN, [SECOND])[4096:]
    assert luks_version(Window(ByteMedium(volume), 0, len(volume))) == 2
    assert opening(volume).volume is not None


def test_the_copy_with_the_higher_epoch_counts() -> None:
    old = luks2(PLAIN, [SECOND], USUAL._replace(epochs=(4, 9)))
    assert "epochs 4 and 9" in reasons(opening(old))
    other = header_copy(b'{"segments": {}}', HEADER_SIZE, 10)
    assert opening(old[:HEADER_SIZE] + other + old[2 * HEADER_SIZE :]).volume is None
    assert opening(other.replace(b"SKUL", b"LUKS") + old[HEADER_SIZE:]).volume is not None  # its checksum is wrong


def test_two_damaged_copies_are_a_loss() -> None:
    volume = bytearray(luks2(PLAIN, [SECOND]))
    volume[5000] ^= 1
    volume[HEADER_SIZE + 5000] ^= 1
    unlocked = opening(bytes(volume))
    assert "no copy of the LUKS2 header is sound" in reasons(unlocked)
    assert [problem.lost for problem in unlocked.problems] == [True]


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("size", [6, 100, 592, 4096, 5000, 20000, 40000])
def test_a_cut_volume_never_opens_silently(version: int, size: int) -> None:
    volume = (luks1 if version == 1 else luks2)(PLAIN, [SECOND])[:size]
    unlocked = opening(volume)
    assert (unlocked.volume is None) == any(problem.lost for problem in unlocked.problems)


# What is not supported is refused by name


def edited(edit: Edit, content: bytes = PLAIN) -> bytes:
    return luks2(content, [SECOND], USUAL._replace(edit=edit))


def segment(**changes: Any) -> Edit:
    return lambda text: text["segments"]["0"].update(changes)


def slot(**changes: Any) -> Edit:
    return lambda text: text["keyslots"]["0"].update(changes)


def kdf(**changes: Any) -> Edit:
    return lambda text: text["keyslots"]["0"]["kdf"].update(changes)


def area(**changes: Any) -> Edit:
    return lambda text: text["keyslots"]["0"]["area"].update(changes)


def digest(**changes: Any) -> Edit:
    return lambda text: text["digests"]["0"].update(changes)


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (segment(integrity={"type": "hmac(sha256)", "journal_encryption": "none"}), "dm-integrity, 'hmac(sha256)'"),
        (segment(type="hw-opal-crypt"), "by the drive itself (OPAL)"),
        (segment(type="novel"), "of the type 'novel'"),
        (segment(encryption="serpent-xts-plain64"), "the cipher 'serpent-xts-plain64' is not supported"),
        (segment(encryption="aes-gcm-random"), "the cipher 'aes-gcm-random' is not supported"),
        (segment(offset="0"), "its header is detached"),
        (segment(sector_size=8192), "its sectors have 8192 bytes"),
        (segment(offset="9" * 30), "is no number"),
        (segment(offset=str(1 << 40)), "where the volume has ended"),
        (segment(size="-5"), "is no number"),
        (segment(iv_tweak="x"), "is no number"),
        (segment(flags=["backup-final"]), "no data segment"),
        (segment(size="100"), "where the volume has ended"),
        (lambda text: text["config"].update(requirements={"mandatory": ["offline-reencrypt"]}), "offline-reencrypt"),
        (lambda text: text.update(segments={}), "no data segment"),
        (lambda text: text.update(digests={}), "no digest that tells its key"),
        (lambda text: text.update(keyslots={}), "none of the 2 keys"),
        (kdf(type="scrypt"), "'scrypt' is not known"),
        (kdf(iterations=1 << 32), "4294967296 iterations, about"),
        (kdf(iterations=0), "0 iterations"),
        (kdf(iterations=-1), "-1 iterations"),
        (kdf(hash="whirlpool9"), "'whirlpool9' is not to be had here"),
        (kdf(salt="!!"), "its base64 is unsound"),
        (kdf(salt=""), "a salt of 0 bytes"),
        (kdf(type="argon2id", time=4, memory=1 << 31, cpus=4), "2097152 MiB of memory, of 1024 allowed"),
        (kdf(type="argon2id", time=1 << 31, memory=1 << 20, cpus=4), "seconds, of 120 allowed"),
        (kdf(type="argon2id", time=4, memory=64, cpus=1 << 20), "1048576 lanes"),
        (kdf(type="argon2id", time=4, memory=1, cpus=4), "4 lanes and 1 KiB"),
        (slot(key_size=1 << 30), "1073741824 bytes"),
        (slot(key_size=0), "0 bytes"),
        (slot(af={"type": "luks1", "stripes": 1 << 31, "hash": "sha256"}), "2147483648 stripes"),
        (slot(af={"type": "luks1", "stripes": 0, "hash": "sha256"}), "0 stripes"),
        (slot(type="novel"), "its type 'novel' is not known"),
        (area(offset="0"), "lies in the header itself"),
        (area(offset=str(1 << 50)), "ends outside the volume"),
        (area(size="1"), "lies outside the header"),
        (area(encryption="twofish-xts-plain64"), "'twofish-xts-plain64' is not supported"),
        (area(key_size=7), "a key of 56 bits"),
        (digest(iterations=1 << 40), "digest 0 was not tried"),
        (digest(digest=""), "a key has 0 bytes"),
        (digest(segments=["7"]), "no digest that tells its key"),
        (digest(type="novel"), "no digest that tells its key"),
    ],
)
def test_a_hostile_or_foreign_header_is_refused_by_name(edit: Edit, reason: str) -> None:
    unlocked = opening(edited(edit))
    assert unlocked.volume is None
    assert reason in reasons(unlocked)
    assert any(problem.lost for problem in unlocked.problems)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{",
        b'{"keyslots": ' + b"[" * 11000,
        b'{"segments": {"0": ' + b'{"a":' * 2000 + b"1" + b"}" * 2001 + b"}",
        b'{"x": ' + b"[" * 5000 + b"]" * 5000 + b"}",
        b'{"segments": {"0": null}}',
        b'{"segments": {"0": {"type": "crypt", "offset": "\\ud800", "size": "dynamic"}}}',
        b"\xff\xfe",
        b'{"config": 5, "segments": {}}',
        json.dumps({"segments": {str(number): {"type": "crypt"} for number in range(200)}}).encode(),
    ],
)
def test_json_that_is_none_is_a_loss(body: bytes) -> None:
    copies = header_copy(body, 0, 1) + header_copy(body, HEADER_SIZE, 1)
    unlocked = opening(copies + bytes(65536))
    assert unlocked.volume is None
    assert any(problem.lost for problem in unlocked.problems)
    assert all(len(problem.reason) < 2000 for problem in unlocked.problems)


@pytest.mark.parametrize(
    ("place", "fill", "reason"),
    [
        (104, b"\0\0\0\0", "its header is detached"),
        (108, b"\xff\xff\xff\xff", "4294967295 bytes"),
        (108, b"\0\0\0\0", "0 bytes"),
        (164, b"\xff\xff\xff\xff", "digest 0 was not tried"),
        (212, b"\xff\xff\xff\xff", "4294967295 iterations"),
        (248, b"\xff\xff\xff\xff", "ends outside the volume"),
        (248, b"\0\0\0\0", "lies outside the header"),
        (252, b"\xff\xff\xff\xff", "4294967295 stripes"),
        (8, b"\x1b[2J\0", "\\x1b[2J-xts-plain64' is not supported"),
        (72, b"novel\0", "'novel' is not to be had"),
        (104, b"\xff\xff\xff\xff", "where the volume has ended"),
    ],
)
def test_a_hostile_luks1_header_is_refused_by_name(place: int, fill: bytes, reason: str) -> None:
    volume = bytearray(luks1(PLAIN, [SECOND]))
    volume[place : place + len(fill)] = fill
    unlocked = opening(bytes(volume))
    assert unlocked.volume is None
    assert reason in reasons(unlocked)


def test_a_damaged_keyslot_costs_itself_only() -> None:
    def edit(text: dict[str, Any]) -> None:
        text["keyslots"]["0"]["kdf"] = {"type": 5}
        text["keyslots"]["9" * 40] = {}

    volume = luks2(PLAIN, [FIRST, SECOND], USUAL._replace(edit=edit))
    unlocked = opening(volume)
    assert plain(unlocked, volume) == PLAIN
    assert "keyslot '0'" in reasons(unlocked)


def test_a_search_as_a_whole_is_bounded() -> None:
    many = Secrets(tuple(b"%d" % number for number in range(100)))

    def edit(text: dict[str, Any]) -> None:
        text["keyslots"]["0"]["kdf"]["iterations"] = 40_000

    costly = luks2(PLAIN, [FIRST], USUAL._replace(edit=edit))
    assert "search would take more than about 1 seconds" in reasons(opening(costly, many, Allowance(seconds=0.1)))


def test_costs_are_estimated_before_anything_is_derived() -> None:
    salt = bytes(32)
    assert check_cost(Kdf("argon2id", salt, 4, memory=1 << 20, lanes=4), 64, Allowance()) < 10  # cryptsetup's most
    assert check_cost(Kdf("pbkdf2", salt, 20_000_000, "sha256"), 64, Allowance()) < 60
    with pytest.raises(LuksError, match="of 1024 allowed"):
        check_cost(Kdf("argon2id", salt, 4, memory=(1 << 20) + 1024, lanes=4), 64, Allowance())


def test_a_reencryption_is_read_segment_by_segment_and_said() -> None:
    def edit(text: dict[str, Any]) -> None:
        first = text["segments"]["0"]
        begin = int(first["offset"])
        second = dict(first, offset=str(begin + 4096), iv_tweak="8")
        last = {"type": "linear", "offset": str(begin + 8192), "size": "dynamic"}
        text["segments"] = {
            "0": dict(first, size="4096"), "1": dict(second, size="4096", flags=["in-reencryption"]), "2": last,
            "3": dict(first, flags=["backup-final"]), "4": dict(first, flags=["backup-previous"]),
        }  # fmt: skip
        text["digests"]["0"]["segments"] = ["0", "1", "3", "4"]

    volume = edited(edit)
    unlocked = opening(volume)
    content = plain(unlocked, volume)
    assert content[:8192] == PLAIN[:8192]
    assert content[8192:] == volume[-2048:]
    assert len(unlocked.keys) == 1
    told = {problem.reason[:50]: problem.lost for problem in unlocked.problems}
    assert list(told.values()) == [True, False]
    assert "stopped within 4096 bytes" in reasons(unlocked)
    assert "read from its 3 segments" in reasons(unlocked)


def test_a_segment_that_is_cut_is_a_loss() -> None:
    volume = edited(segment(size="1048576"))
    unlocked = opening(volume)
    assert plain(unlocked, volume) == PLAIN
    assert "ends 1038336 bytes behind the end" in reasons(unlocked)


def test_no_key_is_ever_shown() -> None:
    volume = luks2(PLAIN, [SECOND])
    secrets = Secrets((SECOND,), (b"file",), (KEY,))
    unlocked = opening(volume, secrets)
    shown = repr((unlocked, secrets, UnlockArguments(member=Member(1, 0, 1), secrets=secrets), unlocked.problems))
    shown += str(unlocked) + f"{unlocked}"
    assert SECOND.decode() not in shown
    assert repr(KEY)[2:20] not in shown
    assert shown.count("Secrets(3)") == 2


def test_the_splitter_of_one_stripe_is_the_key() -> None:
    assert merge(KEY, 1, "sha256") == KEY
    assert merge(recipes.split(KEY, 7, "sha1"), 7, "sha1") == KEY


def test_what_is_named_by_its_signature_only() -> None:
    for head, kind in ((b"\xeb\x58\x90-FVE-FS-", "BitLocker"), (b"integrt\0", "dm-integrity"), (b"LUKS", "")):
        medium = ByteMedium(head.ljust(4096, b"\0"))
        assert kind in foreign_kind(Window(medium, 0, 4096))
        assert bool(kind) == bool(foreign_kind(Window(medium, 0, 4096)))


# In a worker


def unlocked_in_a_worker(path: Path, volume: bytes, limits: Limits) -> Any:
    """Return what the worker yields, or its failure."""
    path.write_bytes(volume)
    arguments = UnlockArguments(member=Member(1, 0, len(volume)), secrets=Secrets((SECOND,)))
    with path.open("rb") as file, Pool(["volforensic.evidence.volumes.unlocking"]) as pool:
        task = Task(
            function="volforensic.evidence.volumes.unlocking:unlock_volume",
            arguments=arguments,
            message_type=Unlocked,
            source=handle_of(file.fileno()),
            limits=limits,
        )
        (message,) = pool.run(task)
    return message


@pytest.mark.parametrize("hash_name", ["sha256", "ripemd160", "sha3_256"])
def test_a_worker_unlocks(tmp_path: Path, hash_name: str) -> None:
    def edit(text: dict[str, Any]) -> None:
        for item in (text["keyslots"]["0"]["kdf"], text["keyslots"]["0"]["af"], text["digests"]["0"]):
            item["hash"] = hash_name.replace("_", "-")

    volume = luks2(PLAIN, [SECOND], USUAL._replace(hash=hash_name, edit=edit))
    unlocked = unlocked_in_a_worker(tmp_path / "luks", volume, unlock_limits())
    assert isinstance(unlocked, Unlocked), unlocked
    assert plain_at_0(unlocked, volume) == PLAIN


def plain_at_0(unlocked: Unlocked, volume: bytes) -> bytes:
    assert unlocked.volume is not None, reasons(unlocked)
    return all_of(decrypted(unlocked.volume.map, ByteMedium(volume), unlocked.keys))


def test_a_worker_without_the_memory_that_argon2_wants_says_so(tmp_path: Path) -> None:
    def edit(text: dict[str, Any]) -> None:
        text["keyslots"]["0"]["kdf"]["memory"] = 700 << 10

    volume = luks2(PLAIN, [SECOND], USUAL._replace(kdf="argon2id", edit=edit))
    unlocked = unlocked_in_a_worker(tmp_path / "luks", volume, Limits(memory=300 << 20))
    assert isinstance(unlocked, Unlocked), unlocked
    assert "700 MiB are not to be had" in reasons(unlocked)


# Against the real tools


@pytest.mark.skipif(shutil.which("qemu-img") is None, reason="qemu-img is not installed")
def test_what_qemu_encrypts(tmp_path: Path) -> None:
    raw, made = tmp_path / "raw", tmp_path / "luks"
    raw.write_bytes(PLAIN)
    secret = "secret,id=key,data=" + SECOND.decode()
    for milliseconds in (10, 100, 1000):  # it measures its own speed, and gives up where the clock is too coarse
        given = f"key-secret=key,iter-time={milliseconds}"
        convert: list[str | Path] = ["qemu-img", "convert", "-q", "-O", "luks", "--object", secret, "-o", given]
        if subprocess.run([*convert, raw, made], check=False, timeout=60, capture_output=True).returncode == 0:
            break
    else:
        pytest.skip("qemu-img cannot measure how fast this machine is")
    volume = made.read_bytes()
    unlocked = opening(volume)
    assert plain(unlocked, volume)[: len(PLAIN)] == PLAIN


@pytest.mark.skipif(shutil.which("cryptsetup") is None, reason="cryptsetup is not installed")
@pytest.mark.parametrize("version", ["luks1", "luks2"])
def test_what_cryptsetup_formats(tmp_path: Path, version: str) -> None:
    path, passphrase, key = tmp_path / "luks", tmp_path / "passphrase", tmp_path / "key"
    path.write_bytes(bytes(20 << 20))
    passphrase.write_bytes(SECOND)
    cheap = ["1000"] if version == "luks1" else ["4", "--pbkdf-memory", "32"]
    made: list[str | Path] = ["cryptsetup", "luksFormat", "-q", "--type", version, "--pbkdf-force-iterations", *cheap]
    subprocess.run([*made, path, passphrase], check=True)
    dump: list[str | Path] = ["cryptsetup", "luksDump", "-q", "--dump-volume-key", "--volume-key-file", key]
    subprocess.run([*dump, "--key-file", passphrase, path], check=True, capture_output=True)
    unlocked = opening(path.read_bytes())
    assert unlocked.keys == (key.read_bytes(),)
    assert unlocked.problems == []


@pytest.mark.skipif(shutil.which("cryptsetup") is None, reason="cryptsetup is not installed")
@pytest.mark.parametrize("version", [1, 2])
def test_cryptsetup_takes_what_the_builder_makes(tmp_path: Path, version: int) -> None:
    path, passphrase = tmp_path / "luks", tmp_path / "passphrase"
    passphrase.write_bytes(SECOND)
    recipe = USUAL._replace(stripes=4000, iterations=1000, key=KEY[:32], cipher="aes-cbc-plain64")
    path.write_bytes((luks1 if version == 1 else luks2)(PLAIN, [SECOND], recipe).ljust(4 << 20, b"\0"))
    subprocess.run(["cryptsetup", "open", "--test-passphrase", "--key-file", passphrase, path], check=True)
