"""What is asked of the claims before and after the pass, wherever they are kept."""

import hashlib
from pathlib import Path

import pytest
from inventory_samples import entry

from volforensic.inventory.entry import FileEntry
from volforensic.inventory.packages import proof as proof_module
from volforensic.inventory.packages.claims import CONFIG, FILE, Claim, PackageName
from volforensic.inventory.packages.matching import Comparison, Found
from volforensic.inventory.packages.proof import PackageProof

EMPTY = {name: hashlib.new(name).hexdigest() for name in ("md5", "sha1", "sha256", "sha512")}
TOOL = PackageName("tool", "1", "dpkg")


def digest(data: bytes, algorithm: str) -> bytes:
    return hashlib.new(algorithm, data).digest()


class Ask:
    """A proof over claims on single entries."""

    def __init__(self, folder: Path, *claims: tuple[PackageName, Claim, FileEntry, tuple[str, ...]]) -> None:
        """Keep the claims; the last value of each is what differs already."""
        self.proof = PackageProof(folder / "packages.sqlite")
        for package, claim, found, differs in claims:
            self.proof.add(package, [Found(claim, found, Comparison(differs))])
        self.proof.index()

    def verdict(self, found: FileEntry, **hashes: str) -> str:
        """Return verdict, manager and what it was proved by."""
        row = self.proof.verdict(found, hashes)
        return "none" if row is None else f"{row['verdict']} {row.get('manager', '')} {row.get('by', '')}".strip()


@pytest.fixture(params=["in memory", "on disk", "more than is counted"], autouse=True)
def _store(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have every test ask claims kept in memory, on disk, and on disk without the list of which are."""
    if request.param != "in memory":
        monkeypatch.setattr(proof_module, "_MOST_PLAIN", 0)
    if request.param == "more than is counted":
        monkeypatch.setattr(proof_module, "_MOST_NEEDED", 0)


A = entry(b"/a", size=1)
MD5 = Claim(b"/a", FILE, "md5", bytes.fromhex(EMPTY["md5"]))


@pytest.mark.parametrize(
    ("claim", "differs", "hashes", "verdict"),
    [
        (MD5, (), {"md5": EMPTY["md5"]}, "proved dpkg md5"),
        (MD5, (), {"md5": "0" * 32}, "altered dpkg md5"),
        (MD5, (), {"sha256": EMPTY["sha256"]}, "unverified dpkg"),
        (MD5, (), {}, "unverified dpkg"),
        (MD5, ("mode",), {"md5": EMPTY["md5"]}, "altered dpkg md5"),
        (Claim(b"/a", FILE, "md5", MD5.digest, CONFIG), (), {"md5": "0" * 32}, "config changed dpkg md5"),
        (Claim(b"/a", FILE, "md5", MD5.digest, size=1), (), {}, "unverified dpkg"),
        (Claim(b"/a", FILE, "md5", MD5.digest, size=2), (), {}, "altered dpkg"),
        (Claim(b"/a", FILE, "md5", MD5.digest, 8), (), {"md5": "0" * 32}, "unverified dpkg md5"),
        (Claim(b"/a", FILE, "md5", MD5.digest, 8), ("mode",), {"md5": "0" * 32}, "altered dpkg md5"),
        (Claim(b"/a"), (), {"md5": "0" * 32}, "unverified dpkg"),
    ],
)
def test_the_verdict_of_one_claim(
    tmp_path: Path, claim: Claim, differs: tuple[str, ...], hashes: dict[str, str], verdict: str
) -> None:
    assert Ask(tmp_path, (TOOL, claim, A, differs)).verdict(A, **hashes) == verdict


def test_a_file_of_no_bytes_needs_no_hash(tmp_path: Path) -> None:
    empty = entry(b"/a", size=0)
    assert Ask(tmp_path, (TOOL, MD5, empty, ())).verdict(empty) == "proved dpkg md5"


OTHER = PackageName("other", "1", "dpkg")
PIP = PackageName("tool", "1", "pip")
ALTERED = Claim(b"/a", FILE, "md5", bytes(16))


@pytest.mark.parametrize(
    ("first", "second", "verdict"),
    [
        ((TOOL, ALTERED), (OTHER, MD5), "proved dpkg md5"),
        ((PIP, MD5), (TOOL, ALTERED), "altered dpkg md5"),
        ((PIP, ALTERED), (TOOL, MD5), "proved dpkg md5"),
        ((TOOL, Claim(b"/a")), (PIP, MD5), "proved pip md5"),
        ((PIP, Claim(b"/a")), (TOOL, Claim(b"/a")), "unverified dpkg"),
    ],
)
def test_of_two_claims_the_stronger_speaks(
    tmp_path: Path, first: tuple[PackageName, Claim], second: tuple[PackageName, Claim], verdict: str
) -> None:
    assert Ask(tmp_path, (*first, A, ()), (*second, A, ())).verdict(A, md5=EMPTY["md5"]) == verdict


def test_each_path_of_an_inode_asks_for_what_any_of_them_needs(tmp_path: Path) -> None:
    one, other = entry(b"/a", inode=5, links=2, size=1), entry(b"/b", inode=5, links=2, size=1)
    ask = Ask(tmp_path, (TOOL, MD5, one, ()))
    assert ask.proof.algorithms(other) == {"md5"}
    assert ask.proof.algorithms(entry(b"/c", inode=5, volume=2)) == frozenset()
    assert ask.verdict(one, md5=EMPTY["md5"]) == "proved dpkg md5"
    assert ask.verdict(other, md5=EMPTY["md5"]) == "none"


def test_an_inode_whose_link_count_lies_is_judged_by_its_path(tmp_path: Path) -> None:
    other = entry(b"/tmp/other", size=1)
    ask = Ask(tmp_path, (TOOL, MD5, A, ()))
    assert (A.inode, A.links) == (other.inode, other.links)
    assert ask.verdict(A, md5=EMPTY["md5"]) == "proved dpkg md5"
    assert ask.verdict(other, md5=EMPTY["md5"]) == "none"


def test_many_claims_are_found_whatever_their_order(tmp_path: Path) -> None:
    files = [entry(b"/%d" % number, inode=(number * 7919) % 100_003, size=1) for number in range(2000)]
    claims = [(TOOL, Claim(one.path, FILE, "md5", digest(one.path, "md5")), one, ()) for one in files]
    several = [(OTHER, Claim(one.path, FILE, "sha1", digest(b"", "sha1")), one, ()) for one in files[:9]]
    twice = [(OTHER, Claim(one.path, FILE, "md5", digest(b"", "md5")), one, ()) for one in files[5:20]]
    ask = Ask(tmp_path, *claims, *several, *twice)
    for number, one in enumerate(files):
        assert ask.proof.algorithms(one) == ({"md5", "sha1"} if number < 9 else {"md5"})
        assert ask.verdict(one, md5=digest(one.path, "md5").hex(), sha1="0" * 40) == "proved dpkg md5"
    assert ask.verdict(entry(b"/none", inode=100_002), md5=EMPTY["md5"]) == "none"
