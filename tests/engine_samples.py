"""What container engines write: Docker's, Podman's and containerd's stores as files of a tree."""

import base64
import json
import lzma
from collections.abc import Mapping, Sequence

from bolt_files import Buckets, bolt, uvarint
from collection_runs import Files

SERVER: dict[str, bytes | str] = {
    "etc/passwd": b"root:x:0:0:root:/root:/bin/sh\n",
    "etc/os-release": b'PRETTY_NAME="Server"\n',
    "var/log/": b"",
    "usr/bin/": b"",
}
"""A host that has containers."""
IMAGE: Mapping[str, bytes] = {
    "etc/passwd": b"root:x:0:0:root:/root:/bin/sh\nweb:x:1000:1000::/home/web:/bin/sh\n",
    "etc/crontab": b"17 * * * * root run-parts /etc/cron.hourly\n",
    "etc/cron.d/old": b"1 1 * * * root /bin/old\n",
    "home/web/.bash_history": b"ls\n",
    "etc/os-release": b'PRETTY_NAME="Tiny 1"\n',
}
"""The lower layer of a container."""


def identity(number: int) -> str:
    """Return an id as engines give them."""
    return f"{number:064x}"[::-1]


def below(place: str, files: Mapping[str, bytes | str]) -> dict[str, bytes | str]:
    """Return the files under a directory."""
    return {f"{place}/{name}": value for name, value in files.items()}


def docker(
    container: str,
    upper: Files,
    lower: Sequence[Files] = (IMAGE,),
    *,
    root: str = "var/lib/docker",
    driver: str = "overlay2",
) -> dict[str, bytes | str]:
    """Return a Docker store with one container of a linked driver."""
    layer = f"{container[:8]}mount"
    home = f"{root}/{driver}"
    config = {
        "ID": container, "Name": "/web", "Driver": driver, "Created": "2026-11-01T10:00:00Z", "Image": "sha256:12",
        "State": {"Running": True, "StartedAt": "2026-11-02T10:00:00Z"},
        "Config": {"Image": "tiny:1", "Hostname": "inside", "Env": ["A=b"]},
    }  # fmt: skip
    files: dict[str, bytes | str] = {
        f"{root}/containers/{container}/config.v2.json": json.dumps(config).encode(),
        f"{root}/image/{driver}/layerdb/mounts/{container}/mount-id": layer.encode(),
        f"{home}/{layer}/link": b"UPPER",
        f"{home}/{layer}/lower": ":".join(f"l/L{number}" for number in range(len(lower))).encode(),
        f"{home}/l/UPPER": f"../{layer}/diff",
    }
    files |= below(f"{home}/{layer}/diff", upper) or {f"{home}/{layer}/diff/": b""}
    for number, one in enumerate(lower):
        files[f"{home}/l/L{number}"] = f"../image{number}/diff"
        files |= below(f"{home}/image{number}/diff", one)
    return files


def podman(
    container: str, upper: Files, *, root: str = "var/lib/containers/storage", has_lower: bool = True
) -> dict[str, bytes | str]:
    """Return a store of containers/storage with one container on one image layer."""
    own, image = identity(901), identity(902)
    metadata = json.dumps({"image-name": "localhost/tiny:1", "name": "pod"})
    row = {"id": container, "names": ["pod"], "image": identity(903), "layer": own, "metadata": metadata,
           "created": "2026-11-01T10:00:00Z"}  # fmt: skip
    layers = [{"id": image}, {"id": own, "parent": image}]
    files: dict[str, bytes | str] = {
        f"{root}/overlay-containers/containers.json": json.dumps([row]).encode(),
        f"{root}/overlay-layers/layers.json": json.dumps(layers).encode(),
        f"{root}/overlay/l/AAA": f"../{image}/diff",
    }
    if has_lower:
        files[f"{root}/overlay/{own}/lower"] = b"l/AAA"
    return files | below(f"{root}/overlay/{own}/diff", upper) | below(f"{root}/overlay/{image}/diff", IMAGE)


def containerd(
    layers: Mapping[int, Files], metadata: bytes, snapshots: bytes, root: str = "var/lib/containerd"
) -> Files:
    """Return a store of containerd with its databases, and the snapshots of its overlayfs by number."""
    place = f"{root}/io.containerd.snapshotter.v1.overlayfs"
    files: dict[str, bytes | str] = {
        f"{root}/io.containerd.metadata.v1.bolt/meta.db": metadata,
        f"{place}/metadata.db": snapshots,
    }
    for number, one in layers.items():
        files |= below(f"{place}/snapshots/{number}/fs", one)
    return files


def chained(namespace: str, key: str, count: int) -> tuple[Buckets, Buckets]:
    """Return what meta.db and metadata.db say of a snapshot and those below it: numbers ``count`` down to 1."""
    known: Buckets = {}
    stored: Buckets = {}
    parent = b""
    for number in range(1, count + 1):
        own = key if number == count else f"sha256:{number}"
        name = f"{namespace}/{number}/{own}".encode()
        known[own.encode()] = {b"name": name}
        kind = b"\x02" if number == count else b"\x03"
        stored[name] = {b"id": uvarint(number), b"kind": kind, **({b"parent": parent} if parent else {})}
        parent = name
    return {b"overlayfs": known}, stored


def databases(namespace: str, key: str, count: int, containers: Buckets) -> tuple[bytes, bytes]:
    """Return meta.db and metadata.db of one chain of snapshots, with these containers."""
    known, stored = chained(namespace, key, count)
    metadata = {b"v1": {namespace.encode(): {b"containers": containers, b"snapshots": known}, b"version": b"\x03"}}
    return bolt(metadata, per_leaf=3), bolt({b"v1": {b"snapshots": stored, b"parents": {}}}, per_leaf=2)


def unpacked(text: str) -> bytes:
    """Return a database that is kept below."""
    return lzma.decompress(base64.b64decode(text))


METADATA = """
/Td6WFoAAATm1rRGAgAhARwAAAAQz1jM4///C1ldAABqf3sSWaXhUJuTm/kahK2JgYeqZ6xlfb567XHtmm/H3Cym02Iq1cHiwXwDvLNlFSo2KkfP
2DZQjO3F4kD5bYXZ9QHKcI5uUGsSHkn3FAE1XxTS9CfbFJim+U/iQZfDVxx4rYmcbktXtNLYyi047NRf6vKrBR6ubjHkFbNhAsEeVVeDQaN0toqC
KKri6ewQVC+oa8XkKoo8XujszD7LTwJBksjvuqlkaCsSk6DzEa6S7dITkrkoAwhO8tPs6zDBNB4euv7Rs6DG0eWdQYGOgvHn/JazH9S7ZeuWLW5k
jDj6Rh6DJUH9SQx/NNsrmxeMMUeVfXv4O3bqFFPOgCuZh1eJOZyb0ejAJ/6LDcn4PtyqQKxr8JK98+udrIopMLknMLS/hVjQhti7CRbc78FDoFWn
J4JaiGKoe1X+qMSksx7EnczYobppVjBgll209TipQPdJTpRl7lVeoUFspyOP0o8ZBgVHIvIP7WAPvQBGzeWkYuznGK62aMmIvmxJoNOWG3QQqj4L
Cw6HzY3GHPrVQePx3gMUaUlZdBXrH7j4iiQji0d/CCEbe/yzVp97aoPkpFVkcGq+ljscpfpaeTyZO1Y4VJe9CLelTRYIv2iCjzknY5wXFWMnjaiA
JTbxTwpiIhZ7oj4g9Vd4bK4famM+a3ZZ2pUSlhuYBzmSYKkYOPI1ei3XNZTumOEMwSAf7esdcScmwEy0Q9L6IB3fOPdsDBlCqub58u6aYdUA4dCr
wqoOU/SI5ZqsQzfutOzsyRuwP13+qlLVvieDBWsUT93BSJkrjXMRt+JC+MQfyzaJ898d+WVLM4ImdbEx30Fa/wD87lW3p6Z5lp2uIG0hUuAwTaUy
fNNXo8ChYXkyKg0pLPrv2pxR051g0sOsKYD6bLT5dZHbZGTC6clf/H/OLtw1lyK4AqZh/2mcV9MisO+NTzcaIkhCXGiLuOZD3TEc2Sguyz0DJw6h
OdHyoMJvjBwNHw5PrMIk8yO9Z2yrcw0PpJ5+XE3Xo4fsY9zYcdmnwoUZfG49sx9t2PWS0AN2lkMcgseb8IF/INkXnctrSw2uf5HRPJ1X5iLE7JZF
nVmyyoIB+W+8o1x+85yMexKzfmLVjnyjAb45LpT0CWmr23EJq1mWtGzOjjBO+Z3AJYmWyFXJKzXDnaEE1rKlJoQH12/iS14XTwji7Ns+99V/XJjv
nEepa5aM48rD6X6ms+KxHvg0OQg9YlIPMchchV7N/Jq+4kWGdaZdTzc9PSaWxxtncTZVgFhuKCFVAxC4bjrw8tTBZjD/bvcQpiD+yiV+R7cm67cn
DPXhNgGdpe9/Qrz9QYqswUlxx81tffNdrbGis10bZ244FUrfL2U2e2csCLI5qe1qGSVsIVnG/np9+qNEyZ23v9ccoJyDIct+pzlfssTvuPQzQQgn
fd4ZsgaFB1/LcfOdHNTGGXmW4v4mp9dLSntJNXtMKgk0tgQVupjHmj3uZ9GxAuBGV5QGeXjXAhl8CDP9j7Ef6Fom9g4Sm81v0ijOj67smZDG7DzT
pV96x2QbHemUeH3jpQOzOQmyKJan458RwqLiIwKJoHU01yCfUI1IDa/Z6uqEHyLlOEpyhcffheYuBcMMBszfz7nXVJg4bSuJKKUryYoCDBdSB857
IRVpODul6FUkdYVMbLThWsWVXAbTTGIovcMlEChGpqE3Nbf7s5blWnSXJWX5TuCXlonlfYvCUeaI/vxEil4Dx0ijsjoXN0hw0M5YPF58P5U0ww4c
/eeszUW+Nbu7XRYgCbZqyH89Rhgjbp/qLc3dlRiGnZaPo/FdR9E60ODFtdSGUPCmYtGhmForleT6kC7m1SwfyhxyUesTgZF9Axm2+/ourqQEGRo5
ZXJHhlbGLX9LMnOPqnkrtEupJPguH55LJJ5Rmd6pG3Jesoc8eexBg2XriOIctSA/HvXlSelyStW4VfbiYNR1JV6i34GSKuXluF0h3RcbIk4Y8BRW
O7d870ooQAMjSm+zq/NELaYTT/+skoNFNG0hQoFIzQKkiYCML+l57owJoSdWVa8kPfMNhY+0hB+LgCZHdsWiaq7N+nmctHDsILZnso2PxYp1Opge
70RWA97vNp95r9SzygpcusZ5zmc6Il4hFOcTv02mit9SmdeO70EO86k9+KFqGnLnCeJxz0z23PBefHPSpDyAsa1FozlyhmA+l1nIpdTDpdJ27qPM
Jo7fu7iGUXM3ACQFOS0ppgcg4Y3fylvsgsLaT4JQ4UDFjTEyL0xzUSup+onZ61oOSaMAMa8Qty312F6YLwf79DqZDR3+BxTwvgIZ3K39v+eV4Nlj
5tXG9SdwDRTc4qDtbq8IBKkY5Um+Xa9+gNDVI5JzgJaqEkmchdh4RX/nK0DBvrB2fsI+AbZzJbpw0JwiPbBWODC2nzhvbXU0maVbkqbxK0+e1mkk
vRbZFH0LPjo9/FkB2xL44kBXimabyxNpxBNUl9le8Bvy06dLza51rtPupDzYiZRXr0AWgXtlpNJQoycCKi1xttT0CbeOEANFzXcic3neQEMUCu+q
U1sxliyzIM9JZm9CFiDzgKGG0nJIjaTnPGqyq4XiCIP3JnnhN05END21GCTjGMfQS7XLhzEcB0Yz/gfLhKrTUdssbIKJv7rqW+uC649hZHAM6QWa
HFcC7r1uZ+gmOo5uyuUkiZWfX/7p1wE8we0ZlJP9ewWveuZoysDoBm0I1LO4ty2mzuzmJ27+bhp276+VlD/C8cvLB11wdL1ZiVrR8jc26sKODeG9
JR3DZop8lwlwXmZgkW1sEd36U2CubetLptCzPBlmnQ5ijPVYQnt3P5u7o0OoENBBw69/mnx1nN3eGrKX/kvXjpJ/+UAvvRTKcm6Zu7scz5pNCHj8
bTf2GMGJ5zTArkPaS58sKEeMWeofQSqWIccCDBguE1oC6M9OBE0/TEEVIXYu4ntNAR3EG20p3rWKpV/tcwHF9MaeLGW/u75Ob1xjmlOUeSuo8JF1
NX5J8zkyBq8zUVgIos4O+RehD2LhWzOfUf01VkNg1VIEiOsqzIGMed6LAAhefsW6cCVDzibTB0vQUrj3+cnEexxpZiHxZxb7i94HSeV0MK0ENQAK
lZXoJt1Kw2JYdM3tMUcK4lJ40Swcp0qTf45uburixYPxCtxn02RmupWE8kR9r/v/mut4P6c/CreNNyPHq7o6/kmNbAJ0TjX2zKzmgYg1tqE+zL2k
zV+RCKfYvcYN/+PIniC5qVw4pUcrB+SnvH4OCmuN/IKlydK8aDRxgizURpGT1JR5RrOpb/MmVquK+rpURJvvOhhwnvH50kgGCv17LlocS/na5HdC
uSishVjByUtavtzAq9UO4F0CuhBbCJ47LzEAmPy2hHgLQy5wV6Wy7rzMweYrI4K3VSc/T7G0QCyUxvYRklzh4ztWwpwtO1UdEhCRk1jEsrF9ah1r
Kwx4zdpLhS0aeJZ8YKIeqIt2r4GiRi9FHCGov9B5d4+TYZJt+/CCJXtbBOF20kaCPrz1ivYAv8vtytsWgOA5Q0i/pyHBuu92pAtpDt0IjXw29pIT
nG2bhFrL/ll+Oy/kxO1aeRVOX0B+pRxlAap0aDGt3OV7+SuzTlRCZ19u4mo8hU5tKAHfV+mrRQJBDpIWQB++FPB4AWb0YRnR5ar4nu01se/HdzO/
hDPC4tsASn4PoTE0vMjMba6rm1p+NKxdh3lMDpOYtLsEkKKfwK13K8Yz83wWyjW5hdXphGYAsKHkhm9Gt2BB+DND+/Y1D9mt53z7fv+5h1YDkwvW
hiVy1FHqiTLNTc/vcuDSe9d/Pdxf6xy88MHdb7C/sfmzFO2aQSd4yk8SwfbaQvEv1QthFD9R5jrMlEO9j8xinvPRVYXT0pPwiW523+OLkwAAAAAA
m+L4FM3iY/kAAfUWgIAQAL+BBC+xxGf7AgAAAAAEWVo=
"""
"""meta.db as containerd 1.6.20 wrote it: web1 in ``default``, 0123…ef in ``k8s.io`` with labels of a pod."""
SNAPSHOTS = """
/Td6WFoAAATm1rRGAgAhARwAAAAQz1jM4P//AvNdAABqf3sSWaXhUJuTm/kahHY9GUAkToPPkDPhJZyNajlIJQ8O5TkmbF8sDkxnKm4PQvxeczZO
VOoF+/zjNJWnT6SVOT//8C/v3hV0jfwjJ+7us5JES778v7CGMf4WbbFnRFeKZ09rELDtN1UiXkT3tvdKY7Hz8QHi9ghfzOl5cVemBRFVaEvNuh1Y
YmCVfuuatGgZlp1KTN5zH1LpFTBkS95K1ytWErod3a8+VTjWuyZGsbvK9AnPdq/7eYI2cZd0nJ7Z8dZFv8mMLwkTw+gQgfCBmYHlujN/HZ0S7ARB
ZRmIBqJTHX8sdidg51QAEtU6pfi0gb2eNOxhSdKEfNIL/DSiaZDr7YNv+3jmREoqOF4fravHzdNCcAORvu6kVGjQ0c1ZfqkhxjTZ3jovNN8NH7B4
P00FEXUp7xYQG6+jiLfyDe58lH1V/Bd7IXL8gGEIQyf3Tsct1wTlvMsfjNPQ9kX56oX8drlhh65hLmKZ3uCcE6dvvKXf7o9WC9hycLrzCJzNYUwy
8BvrRGp1GlfMjfpvD3xkWwsrLwKG3jfzzCiXWjdzgMLC8kuEvKlcZ1bqMcgKu5an/378X2CVLcf0XO0tq3bAPsO/+u9aPprTL8sRlynz9vmRYTwi
2lWTlEwCD0LX1X95jdxN3TDcPmRR0GDzMa3Q2OBZSQoji9jYqq6nleXtwXpjV0hDhw4GKEwvB+2LaMsYq35f2hukxNsgyiqYfdohAcdKfAnsbRJf
NpNZqKGEGvGeCh91zd7+VD+C6v77BHeCGXM8wqFzOeyX13dCX0Yn9OUmTfNVNwMe0yPjbQa9MBcsQhesIHCxh9kw7I4SFnAeqDrzvZ/Oi8DcFM5i
fAKz9o160qVpvlzvnF+i3vLrJKiwuOIETPZvgLEKSjvx5Dk/YfRheMc7xEHOGWUtfDrSgMBbXqec4bQevPxMyAxAKTLyGZMLy1vVIFhOeDrXe4Lg
/6EWnAcUxUxpwc7n9lgtDBobnaSdiR9IZhRqd6QmAACxoE8rWKkRyAABjwaAgAQAz+/zy7HEZ/sCAAAAAARZWg==
"""
"""metadata.db of its overlayfs: web1 is made of 3, 2, 1 and the other of 6, 5, 4."""
