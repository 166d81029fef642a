#!/usr/bin/env bash
# Install the system packages that this host lacks, by apt-get or dnf, and say so first.
#
# SYSTEM_DEPS=install (default), print (only say what would be run) or skip. TEST_PACKAGES: further package names, such as
# chromium for the test that opens the report (each is there if a command of its name is). What is there already is not installed again, whoever put it there.
# Arguments: the sets wanted, of "run" (volforensic itself), "images" (test disks) and "server" (the real server tree).
set -euo pipefail

PATH="$PATH:/usr/sbin:/sbin" # a user's PATH on Debian leaves out where mke2fs is
here=$(cd -- "$(dirname -- "$0")" && pwd)
mode=${SYSTEM_DEPS:-install}

has_command() { command -v "$1" >/dev/null 2>&1; }
has_library() { ldconfig -p 2>/dev/null | grep -qF "$1"; }
has_python() { "$here/find-python.sh" >/dev/null 2>&1; }

# set | what shows that it is there | Debian's names, the first that exists | Amazon Linux's
needs() {
    cat <<EOF
run    has_python                 python3-venv            python3.11,python3.12,python3.13
run    has_library=libmagic.so.1  libmagic1t64,libmagic1  file-libs
images has_command=mke2fs         e2fsprogs               e2fsprogs
images has_command=mkfs.xfs       xfsprogs                xfsprogs
images has_command=mkfs.btrfs     btrfs-progs             btrfs-progs
images has_command=mksquashfs     squashfs-tools          squashfs-tools
images has_command=mkfs.erofs     erofs-utils             erofs-utils
images has_command=sfdisk         fdisk                   util-linux
images has_command=xz             xz-utils                xz
images has_command=zstd           zstd                    zstd
images has_command=ssh-keygen     openssh-client          openssh-clients
server has_command=mmdebstrap     mmdebstrap              mmdebstrap
EOF
}

missing() { # prints the alternatives, one need a line
    local set check debian amazon name
    while read -r set check debian amazon; do
        [[ " $* " == *" $set "* ]] || continue
        ${check%%=*} "${check#*=}" && continue
        if [[ $manager == apt-get ]]; then echo "$debian"; else echo "$amazon"; fi
    done < <(needs)
    for name in ${TEST_PACKAGES:-}; do
        has_command "$name" || echo "$name"
    done
}

available() {
    case $manager in
        apt-get) [[ -n $(apt-cache show --no-all-versions "$1" 2>/dev/null) ]] ;;
        dnf) dnf --quiet info "$1" >/dev/null 2>&1 ;;
    esac
}

choose() { # of comma-separated names, the first that the host's repositories have
    local name
    for name in ${1//,/ }; do
        if available "$name"; then
            echo "$name"
            return
        fi
    done
    echo "system packages: ${1//,/ or } is not in this host's repositories; what needs it is skipped and says so" >&2
}

[[ $mode != skip ]] || exit 0
manager=none
has_command dnf && manager=dnf
has_command apt-get && manager=apt-get

mapfile -t wanted < <(missing "$@")
((${#wanted[@]})) || exit 0
if [[ $manager == none ]]; then
    echo "system packages: neither apt-get nor dnf here; install by hand what serves as: ${wanted[*]//,*/}" >&2
    exit 0
fi

as_root=()
((EUID == 0)) || as_root=(sudo)
refresh=("${as_root[@]}" apt-get update -qq)
if [[ $mode == print ]]; then
    [[ $manager == dnf ]] || echo "${refresh[*]}"
    packages=()
    for need in "${wanted[@]}"; do # a fresh host has no package lists yet: then the last name, which is the oldest
        name=$(choose "$need" 2>/dev/null)
        packages+=("${name:-${need##*,}}")
    done
    echo "${as_root[*]}${as_root:+ }$manager install -y ${packages[*]}"
    exit 0
fi
if ((EUID != 0)) && ! has_command sudo; then
    echo "system packages: missing ${wanted[*]}, and there is no sudo here; run as root: make system-packages" >&2
    exit 5
fi

if [[ $manager == apt-get ]]; then
    echo "system packages: missing ${wanted[*]//,*/}; running: ${refresh[*]}"
    "${refresh[@]}"
fi
mapfile -t packages < <(for need in "${wanted[@]}"; do choose "$need"; done)
((${#packages[@]})) || exit 0
install=("$manager" install -y "${packages[@]}")
[[ $manager == dnf ]] || install=(env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}")
echo "system packages: running: ${as_root[*]}${as_root:+ }${install[*]}"
log=$(mktemp)
if ! "${as_root[@]}" "${install[@]}" >"$log" 2>&1 </dev/null; then
    tail -n 20 "$log" >&2
    echo "system packages: the installation failed (whole output: $log)" >&2
    exit 5
fi
rm -f "$log"
