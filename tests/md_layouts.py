"""What the kernel wrote: members of md arrays of chunks of 4 KiB, a byte a chunk.

Made by mdadm 4.2 under Linux 6.1: chunk k of each array was filled with the byte (37 k + 11) mod 256, so every chunk of
P and Q is one byte many times too. A member is given as the hexadecimal digits of its chunks, in their order.
"""

from typing import NamedTuple

CHUNK = 4096


class KernelArray(NamedTuple):
    """An array: level, layout (md's number and mdadm's name), its chunks of data, and its members in their order."""

    level: int
    layout: int
    name: str
    chunks: int
    members: tuple[str, ...]


def value(chunk: int) -> int:
    """Return the byte that fills chunk ``chunk`` of every array."""
    return (37 * chunk + 11) % 256


KERNEL_ARRAYS = (
    KernelArray(4, 0x0, "0", 72, (
        "0b7ae958c736a51483f261d03fae1d8cfb6ad948b7269504",
        "309f0e7dec5bca39a81786f564d342b1208ffe6ddc4bba29",
        "55c433a21180ef5ecd3cab1a89f867d645b423920170df4e",
        "6e21d4873aed8073e6d94c3fd28538eb9e5104b76a1df063",
    )),
    KernelArray(5, 0x0, "left-asymmetric", 72, (
        "0b7ae987c736a57383f2613f3fae1debfb6ad9b7b7269563",
        "309fd458ec5b8014a8174cd064d3388c208f0448dc4bf004",
        "55210e7d11edca39cdd986f5898542b14551fe6d011dba29",
        "6ec433a23a80ef5ee63cab1ad2f867d69eb423926a70df4e",
    )),
    KernelArray(5, 0x1, "right-asymmetric", 72, (
        "6e7ae9583a36a514e6f261d0d2ae1d8c9e6ad9486a269504",
        "0b210e7dc7edca3983d986f53f8542b1fb51fe6db71dba29",
        "309fd4a2ec5b805ea8174c1a64d338d6208f0492dc4bf04e",
        "55c433871180ef73cd3cab3f89f867eb45b423b70170df63",
    )),
    KernelArray(5, 0x2, "left-symmetric", 72, (
        "0b9f3387c75bef738317ab3f3fd367ebfb8f23b7b74bdf63",
        "30c4d458ec808014a83c4cd064f8388c20b40448dc70f004",
        "5521e97d11eda539cdd961f589851db14551d96d011d9529",
        "6e7a0ea23a36ca5ee6f2861ad2ae42d69e6afe926a26ba4e",
    )),
    KernelArray(5, 0x3, "right-symmetric", 72, (
        "6ec40e583a80ca14e63c86d0d2f8428c9eb4fe486a70ba04",
        "0b21337dc7edef3983d9abf53f8567b1fb51236db71ddf29",
        "307ad4a2ec36805ea8f24c1a64ae38d6206a0492dc26f04e",
        "559fe987115ba573cd17613f89d31deb458fd9b7014b9563",
    )),
    KernelArray(5, 0x4, "parity-first", 72, (
        "6e21d4873aed8073e6d94c3fd28538eb9e5104b76a1df063",
        "0b7ae958c736a51483f261d03fae1d8cfb6ad948b7269504",
        "309f0e7dec5bca39a81786f564d342b1208ffe6ddc4bba29",
        "55c433a21180ef5ecd3cab1a89f867d645b423920170df4e",
    )),
    KernelArray(5, 0x5, "parity-last", 72, (
        "0b7ae958c736a51483f261d03fae1d8cfb6ad948b7269504",
        "309f0e7dec5bca39a81786f564d342b1208ffe6ddc4bba29",
        "55c433a21180ef5ecd3cab1a89f867d645b423920170df4e",
        "6e21d4873aed8073e6d94c3fd28538eb9e5104b76a1df063",
    )),
    KernelArray(6, 0x0, "left-asymmetric", 72, (
        "227ae9583abaa51483d9e6d03fae388cfb6ad9b716269504",
        "0b9f0e874636ca39e62c61f56485188c208f04e0b74bba63",
        "30c4d459c75bef7319f2861ad2bc1db14551fb48dc70f0a5",
        "5521c47dec808092a817ab3f7ad342d69e66fe6d011d3a29",
        "6e6e33a211edb75ecd3c4c4f89f867ebb2b423926a6ddf4e",
    )),
    KernelArray(6, 0x1, "right-asymmetric", 72, (
        "6e7ae95846eda514832c4cd03fae18ebfb6ad9e06a269504",
        "22210e7dc7ba8039a8f2e63f64d31d8c9e8ffe48161dba29",
        "0bffd4a2ec36a773cd1761a6d2f8428c6151236db733f04e",
        "309fc487115bca92e63c86f57a8567b120660492dc4b3a63",
        "55c433103a80ef5eddd9ab1a89d238d645b4b4b70170df73",
    )),
    KernelArray(6, 0x2, "left-symmetric", 72, (
        "227a0ea23abaa539cdd9e6d064f8388cfb8f23b71626ba4e",
        "0b9f33874636ca5ee62c61f58985188c20b404e0b74bdf63",
        "30c4d410c75bef73ddf2861ad2d21db14551b448dc70f073",
        "55213958ec8080038317ab3fe9ae42d69e83d96d011da704",
        "6e6ee97d11edb714a83c4c4f3fd367ebb26afe926a6d9529",
    )),
    KernelArray(6, 0x3, "right-symmetric", 72, (
        "6ec40e5846edef39832c4c1a64ae18eb458fd9e06a70ba04",
        "2221337dc7ba805ea8f2e63f89d31d8c9eb4fe48161ddf29",
        "0b6ed4a2ec36b773cd17614fd2f8428cb251236db76df04e",
        "307a3987115ba503e63c86d0e98567b1fb830492dc26a763",
        "559fe9103a80ca14ddd9abf53fd238d6206ab4b7014b9573",
    )),
    KernelArray(6, 0x4, "parity-first", 72, (
        "6e21d4873aed8073e6d94c3fd28538eb9e5104b76a1df063",
        "226e391046bab703dd2ce64fe9d2188cb283b4e0166da773",
        "0b7ae958c736a51483f261d03fae1d8cfb6ad948b7269504",
        "309f0e7dec5bca39a81786f564d342b1208ffe6ddc4bba29",
        "55c433a21180ef5ecd3cab1a89f867d645b423920170df4e",
    )),
    KernelArray(6, 0x5, "parity-last", 72, (
        "0b7ae958c736a51483f261d03fae1d8cfb6ad948b7269504",
        "309f0e7dec5bca39a81786f564d342b1208ffe6ddc4bba29",
        "55c433a21180ef5ecd3cab1a89f867d645b423920170df4e",
        "6e21d4873aed8073e6d94c3fd28538eb9e5104b76a1df063",
        "226e391046bab703dd2ce64fe9d2188cb283b4e0166da773",
    )),
    KernelArray(6, 0x8, "ddf-zero-restart", 72, (
        "6e7ae9588ceda51483584cd03fae30ebfb6ad9dd6a269504",
        "88210e7dc7d28039a8f2bf3f64d31d0a9e8ffe48581dba29",
        "0b2ad4a2ec36ed73cd176196d2f8428cc251236db717f04e",
        "309fe287115bcaefe63c86f58f8567b120e60492dc4b8d63",
        "55c433103a80ef5eddd9ab1a89d238d645b4b4b70170df73",
    )),
    KernelArray(6, 0x9, "ddf-N-restart", 72, (
        "0b7ae9878c36a514e65861d03f85308cfb6a04ddb7269563",
        "309fd440c75bca7353f286f5d26f1db12051ea48dc4bf0d1",
        "55218e58ec8080488317ab3f40ae42d69ee9d96d011d5d04",
        "6e850e7d11ed7a39a83c4c9a64d367eb9f8ffe926ae3ba29",
        "22c433a23abaef5ecdd9e61a89f8388c45b423b71670df4e",
    )),
    KernelArray(6, 0xa, "ddf-N-continue", 72, (
        "0b9f33403a36ca5e53d961f5896f388c20b4eab7b74bdfd1",
        "30c4c887c75bef49e6f2861a62851db145db0448dc706c63",
        "55f9d458ec808b738317ab40d2ae42d6a151d96d01f1f004",
        "2221e97d11ba8014a83ce63f3fd3678c9e6afe92161d9529",
        "6e7a0ea28ceda539cd584cd064f830ebfb8f23dd6a26ba4e",
    )),
    KernelArray(6, 0x10, "left-asymmetric-6", 72, (
        "0b7ae987c736a57383f2613f3fae1debfb6ad9b7b7269563",
        "309fd458ec5b8014a8174cd064d3388c208f0448dc4bf004",
        "55210e7d11edca39cdd986f5898542b14551fe6d011dba29",
        "6ec433a23a80ef5ee63cab1ad2f867d69eb423926a70df4e",
        "226e391046bab703dd2ce64fe9d2188cb283b4e0166da773",
    )),
    KernelArray(6, 0x11, "right-asymmetric-6", 72, (
        "6e7ae9583a36a514e6f261d0d2ae1d8c9e6ad9486a269504",
        "0b210e7dc7edca3983d986f53f8542b1fb51fe6db71dba29",
        "309fd4a2ec5b805ea8174c1a64d338d6208f0492dc4bf04e",
        "55c433871180ef73cd3cab3f89f867eb45b423b70170df63",
        "226e391046bab703dd2ce64fe9d2188cb283b4e0166da773",
    )),
    KernelArray(6, 0x12, "left-symmetric-6", 72, (
        "0b9f3387c75bef738317ab3f3fd367ebfb8f23b7b74bdf63",
        "30c4d458ec808014a83c4cd064f8388c20b40448dc70f004",
        "5521e97d11eda539cdd961f589851db14551d96d011d9529",
        "6e7a0ea23a36ca5ee6f2861ad2ae42d69e6afe926a26ba4e",
        "22ffc410469eb703dd804b4fe9bc488cb24f53e016333a73",
    )),
    KernelArray(6, 0x13, "right-symmetric-6", 72, (
        "6ec40e583a80ca14e63c86d0d2f8428c9eb4fe486a70ba04",
        "0b21337dc7edef3983d9abf53f8567b1fb51236db71ddf29",
        "307ad4a2ec36805ea8f24c1a64ae38d6206a0492dc26f04e",
        "559fe987115ba573cd17613f89d31deb458fd9b7014b9563",
        "2276eb10469da703dd99544fe9d2f88cb266fbe0160d7773",
    )),
    KernelArray(6, 0x14, "parity-first-6", 72, (
        "6e21d4873aed8073e6d94c3fd28538eb9e5104b76a1df063",
        "0b7ae958c736a51483f261d03fae1d8cfb6ad948b7269504",
        "309f0e7dec5bca39a81786f564d342b1208ffe6ddc4bba29",
        "55c433a21180ef5ecd3cab1a89f867d645b423920170df4e",
        "226e391046bab703dd2ce64fe9d2188cb283b4e0166da773",
    )),
    KernelArray(10, 0x102, "n2", 24, (
        "0b30557a9fc4e90e33587da2c7ec11365b80a5caef14395e",
        "0b30557a9fc4e90e33587da2c7ec11365b80a5caef14395e",
    )),
    KernelArray(10, 0x102, "n2", 36, (
        "0b307a9fe90e587dc7ec365ba5ca143983a8f2176186d0f5",
        "0b557ac4e93358a2c7113680a5ef145e83cdf23c61abd01a",
        "30559fc40e337da2ec115b80caef395ea8cd173c86abf51a",
    )),
    KernelArray(10, 0x102, "n2", 48, (
        "0b559fe9337dc7115ba5ef3983cd1761abf53f89d31d67b1",
        "0b559fe9337dc7115ba5ef3983cd1761abf53f89d31d67b1",
        "307ac40e58a2ec3680ca145ea8f23c86d01a64aef8428cd6",
        "307ac40e58a2ec3680ca145ea8f23c86d01a64aef8428cd6",
    )),
    KernelArray(10, 0x102, "n2", 60, (
        "0b55c40e7dc73680ef39a8f261ab1a64d31d8cd6458ffe48",
        "0b7ac4337dec36a5ef5ea81761d01a89d3428cfb45b4fe6d",
        "307ae933a2ec5ba5145ecd1786d03f89f842b1fb6ab4236d",
        "309fe958a2115bca1483cd3c86f53faef867b1206ad92392",
        "559f0e58c71180ca3983f23cabf564ae1d67d6208fd94892",
    )),
    KernelArray(10, 0x201, "f2", 24, (
        "0b559fe9337dc7115ba5ef39307ac40e58a2ec3680ca145e",
        "307ac40e58a2ec3680ca145e0b559fe9337dc7115ba5ef39",
    )),
    KernelArray(10, 0x201, "f2", 36, (
        "0b7ae958c736a51483f261d055c433a21180ef5ecd3cab1a",
        "309f0e7dec5bca39a81786f50b7ae958c736a51483f261d0",
        "55c433a21180ef5ecd3cab1a309f0e7dec5bca39a81786f5",
    )),
    KernelArray(10, 0x201, "f2", 48, (
        "0b9f33c75bef8317ab3fd3677a0ea236ca5ef2861aae42d6",
        "30c458ec8014a83cd064f88c0b9f33c75bef8317ab3fd367",
        "55e97d11a539cd61f5891db130c458ec8014a83cd064f88c",
        "7a0ea236ca5ef2861aae42d655e97d11a539cd61f5891db1",
    )),
    KernelArray(10, 0x201, "f2", 60, (
        "0bc47d36efa8611ad38c45fe9f5811ca833cf5ae6720d992",
        "30e9a25b14cd863ff8b16a230bc47d36efa8611ad38c45fe",
        "550ec78039f2ab641dd68f4830e9a25b14cd863ff8b16a23",
        "7a33eca55e17d08942fbb46d550ec78039f2ab641dd68f48",
        "9f5811ca833cf5ae6720d9927a33eca55e17d08942fbb46d",
    )),
    KernelArray(10, 0x10201, "o2", 24, (
        "0b30557a9fc4e90e33587da2c7ec11365b80a5caef14395e",
        "300b7a55c49f0ee95833a27decc73611805bcaa514ef5e39",
    )),
    KernelArray(10, 0x10201, "o2", 36, (
        "0b557ac4e93358a2c7113680a5ef145e83cdf23c61abd01a",
        "300b9f7a0ee97d58ecc75b36caa53914a88317f28661f5d0",
        "5530c49f330ea27d11ec805befca5e39cda83c17ab861af5",
    )),
    KernelArray(10, 0x10201, "o2", 48, (
        "0b7a9f0e33a2c7365bcaef5e83f21786ab1a3faed34267d6",
        "300bc49f5833ecc7805b14efa8833c17d0ab643ff8d38c67",
        "5530e9c47d5811eca5803914cda8613cf5d089641df8b18c",
        "7a550ee9a27d3611caa55e39f2cd86611af5ae89421dd6b1",
    )),
    KernelArray(10, 0x10201, "o2", 60, (
        "0b9fc4587d1136caef83a83c61f51aaed3678c2045d9fe92",
        "300be9c4a27d5b3614efcda886613f1af8d3b18c6a4523fe",
        "55300ee9c7a2805b3914f2cdab86643f1df8d6b18f6a4823",
        "7a55330eecc7a5805e3917f2d0ab8964421dfbd6b48f6d48",
        "9f7a583311eccaa5835e3c17f5d0ae89674220fbd9b4926d",
    )),
    KernelArray(10, 0x103, "n3", 32, (
        "0b30559fc4e933587dc7ec115b80a5ef143983a8cd173c61",
        "0b307a9fc40e3358a2c7ec365b80caef145e83a8f2173c86",
        "0b557a9fe90e337da2c711365ba5caef395e83cdf2176186",
        "30557ac4e90e587da2ec113680a5ca14395ea8cdf23c6186",
    )),
    KernelArray(10, 0x301, "f3", 32, (
        "0b9f33c75bef83177a0ea236ca5ef28655e97d11a539cd61",
        "30c458ec8014a83c0b9f33c75bef83177a0ea236ca5ef286",
        "55e97d11a539cd6130c458ec8014a83c0b9f33c75bef8317",
        "7a0ea236ca5ef28655e97d11a539cd6130c458ec8014a83c",
    )),
    KernelArray(10, 0x10301, "o3", 40, (
        "0b9f7ac458337d11ec36caa5ef835ea83c1761f5d01aae89",
        "300b9fe9c458a27d115b36ca14ef83cda83c8661f53f1aae",
        "55300b0ee9c4c7a27d805b363914eff2cda8ab8661643f1a",
        "7a5530330ee9ecc7a2a5805b5e391417f2cdd0ab8689643f",
        "9f7a5558330e11ecc7caa580835e393c17f2f5d0abae8964",
    )),
)
