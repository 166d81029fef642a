"""Metadata as LVM 2.03.16 wrote it: thin volumes, old snapshots (one full, one being merged), in Debian 12.

Times and host names are taken out.
"""

TWO_UUIDS = ("zfl8ZQVUfTrccrN0qOMgZTcPlUSfjwvo", "2MI3L72NswXsMNig3K3p8epcuPCgVugl")
TWO = b"""
two {
id = "Y3XHMy-cZFn-Tifv-zWuI-J8vr-7rLw-ykrbcU"
seqno = 27
format = "lvm2"
status = ["RESIZEABLE", "READ", "WRITE"]
flags = []
extent_size = 512
max_lv = 0
max_pv = 0
metadata_copies = 0
physical_volumes {
pv0 {
id = "zfl8ZQ-VUfT-rccr-N0qO-MgZT-cPlU-Sfjwvo"
device = "/dev/vdf"
status = ["ALLOCATABLE"]
flags = []
dev_size = 122880
pe_start = 2048
pe_count = 232
}
pv1 {
id = "2MI3L7-2Nsw-XsMN-ig3K-3p8e-pcuP-CgVugl"
device = "/dev/vdg"
status = ["ALLOCATABLE"]
flags = []
dev_size = 122880
pe_start = 2048
pe_count = 236
}
}
logical_volumes {
base {
id = "J40B3W-Vo0A-J44w-1PhF-wk6H-Nchq-UTEQkI"
status = ["READ", "WRITE", "VISIBLE"]
flags = []
segment_count = 1
segment1 {
start_extent = 0
extent_count = 16
type = "striped"
stripe_count = 1
stripes = [
"pv0", 0
]
}
}
snap {
id = "Mt3V0G-ydeK-2SsX-mM7Q-QjAj-bPPl-lua0gZ"
status = ["READ", "WRITE"]
flags = []
segment_count = 1
segment1 {
start_extent = 0
extent_count = 12
type = "striped"
stripe_count = 1
stripes = [
"pv0", 16
]
}
}
snapsmall {
id = "RYqml3-dJoi-SGtu-PhYp-zYPU-3tsx-algaU0"
status = ["READ", "WRITE"]
flags = []
segment_count = 1
segment1 {
start_extent = 0
extent_count = 2
type = "striped"
stripe_count = 1
stripes = [
"pv0", 28
]
}
}
snapfull {
id = "Ee0mJp-nzSO-4vcq-REdg-7l5n-ysJS-dLhddv"
status = ["READ", "WRITE"]
flags = []
segment_count = 1
segment1 {
start_extent = 0
extent_count = 1
type = "striped"
stripe_count = 1
stripes = [
"pv0", 30
]
}
}
ext {
id = "PXMFnV-bLQS-Heva-nz2o-P8xl-LE9R-tj3CSZ"
status = ["READ", "VISIBLE"]
flags = []
segment_count = 1
segment1 {
start_extent = 0
extent_count = 8
type = "striped"
stripe_count = 1
stripes = [
"pv0", 31
]
}
}
pool {
id = "8iA6Vs-86s8-R8Nv-a4tE-0cqk-zwyI-m8T404"
status = ["READ", "WRITE", "VISIBLE"]
flags = []
segment_count = 1
segment1 {
start_extent = 0
extent_count = 64
type = "thin-pool"
metadata = "pool_tmeta"
pool = "pool_tdata"
transaction_id = 5
chunk_size = 128
discards = "passdown"
}
}
thin1 {
id = "mpyKWI-Lfl5-YdP0-TsHo-r38J-e7nB-oJsbmc"
status = ["READ", "WRITE", "VISIBLE"]
flags = []
segment_count = 1
segment1 {
start_extent = 0
extent_count = 48
type = "thin"
thin_pool = "pool"
transaction_id = 0
device_id = 1
}
}
thinsnap {
id = "UZfGit-QZPd-oKMk-uHVH-G003-f69G-cmy8qE"
status = ["READ", "WRITE", "VISIBLE"]
flags = []
segment_count = 1
segment1 {
start_extent = 0
extent_count = 48
type = "thin"
thin_pool = "pool"
transaction_id = 1
device_id = 2
origin = "thin1"
}
}
thinsnap2 {
id = "ytZX5v-I5Lk-qg0A-1SDZ-s8yq-YN31-mJjq0b"
status = ["READ", "WRITE", "VISIBLE"]
flags = []
segment_count = 1
segment1 {
start_extent = 0
extent_count = 48
type = "thin"
thin_pool = "pool"
transaction_id = 2
device_id = 3
origin = "thinsnap"
}
}
big {
id = "wDHTRM-ttca-EKh0-Eg1m-r3gn-dWTc-bfZD6t"
status = ["READ", "WRITE", "VISIBLE"]
flags = []
segment_count = 1
segment1 {
start_extent = 0
extent_count = 4096
type = "thin"
thin_pool = "pool"
transaction_id = 3
device_id = 4
}
}
fromext {
id = "N8AYFf-Dr2P-MJDY-HX0p-3eUA-DbvV-02Zxom"
status = ["READ", "WRITE", "VISIBLE"]
flags = []
segment_count = 1
segment1 {
start_extent = 0
extent_count = 8
type = "thin"
thin_pool = "pool"
transaction_id = 4
device_id = 5
external_origin = "ext"
}
}
mbase {
id = "HTwE0T-VDDP-nZ2z-ETNF-mfLK-a91x-yi1j8q"
status = ["READ", "WRITE", "VISIBLE"]
flags = []
segment_count = 1
segment1 {
start_extent = 0
extent_count = 8
type = "striped"
stripe_count = 1
stripes = [
"pv0", 111
]
}
}
msnap {
id = "JF1cqo-FgWz-WErF-1A6e-F12G-cLjc-2u5bS9"
status = ["READ", "WRITE"]
flags = []
segment_count = 1
segment1 {
start_extent = 0
extent_count = 6
type = "striped"
stripe_count = 1
stripes = [
"pv0", 119
]
}
}
snapshot0 {
id = "IkMDfR-QlfN-aCjD-t1HX-tr1C-y0oI-jmo0Yw"
status = ["READ", "WRITE", "VISIBLE"]
flags = []
segment_count = 1
segment1 {
start_extent = 0
extent_count = 16
type = "snapshot"
chunk_size = 16
origin = "base"
cow_store = "snap"
}
}
snapshot1 {
id = "3KQLmJ-MGdu-4QJh-gv3U-b1BZ-sbcK-EwUPm9"
status = ["READ", "WRITE", "VISIBLE"]
flags = []
segment_count = 1
segment1 {
start_extent = 0
extent_count = 16
type = "snapshot"
chunk_size = 8
origin = "base"
cow_store = "snapsmall"
}
}
snapshot2 {
id = "G4MYOe-43E2-GkTE-dKiT-OTiP-t0Lv-ZcDgws"
status = ["READ", "WRITE", "VISIBLE"]
flags = []
segment_count = 1
segment1 {
start_extent = 0
extent_count = 16
type = "snapshot"
chunk_size = 8
origin = "base"
cow_store = "snapfull"
}
}
lvol0_pmspare {
id = "0pfvT3-0C51-1B8I-2RAS-Lr2W-l6is-aJE7O8"
status = ["READ", "WRITE"]
flags = []
segment_count = 1
segment1 {
start_extent = 0
extent_count = 8
type = "striped"
stripe_count = 1
stripes = [
"pv0", 39
]
}
}
pool_tmeta {
id = "6g3oNl-K6BC-Sr7d-8A7R-nNEj-b78l-v0u9kc"
status = ["READ", "WRITE"]
flags = []
segment_count = 1
segment1 {
start_extent = 0
extent_count = 8
type = "striped"
stripe_count = 1
stripes = [
"pv1", 0
]
}
}
pool_tdata {
id = "Pti3Kd-HLjp-aupk-WA6J-duS8-08uY-DxCFvV"
status = ["READ", "WRITE"]
flags = []
segment_count = 1
segment1 {
start_extent = 0
extent_count = 64
type = "striped"
stripe_count = 1
stripes = [
"pv0", 47
]
}
}
snapshot3 {
id = "3FKCuc-xNej-NuGT-bO02-vlEL-gr1P-l4UMwc"
status = ["READ", "WRITE"]
flags = []
segment_count = 1
segment1 {
start_extent = 0
extent_count = 8
type = "snapshot"
chunk_size = 8
origin = "mbase"
merging_store = "msnap"
}
}
}
}
# Generated by LVM2 version 2.03.16(2) (2022-05-18): Fri Nov 20 13:18:08 2026
contents = "Text Format Volume Group"
version = 1
description = "Write from lvconvert --merge two/msnap."
"""
