/*
  Shells that an intruder reaches over the network: one-line commands in scripts, crontabs, units and histories; programs in
  script languages; small ELF files. The plainest commands are in backdoors.yar.
*/

private rule names_signatures
{
  // Rules, signatures and their tests hold what they look for. A script is never taken for a list of signatures.
  strings:
    $1 = "condition:"
    $2 = "logsource:"
    $3 = "SecRule "
    $4 = "risk_score = "
    $5 = "pattern-either:"
    $6 = "; sid:"
    $7 = ";sid:"
    $8 = ";Engine:"
    $9 = "matchers-condition"
    $10 = "portrule = "
  condition:
    uint16be(0) != 0x2321 and uint32be(0) != 0x7f454c46 and uint32be(0) != 0x3c3f7068 and filesize < 4MB and any of them
}

rule reverse_shell_bash
{
  meta:
    author = "volforensic"
    description = "A shell whose input and output are a TCP connection of the shell itself (bash, zsh)"
    severity = "high"
    confidence = "high"
    attack = "T1059.004"
    reference = "https://attack.mitre.org/techniques/T1059/004/"
    family = "reverse-shell"
  strings:
    $1 = /sh -i {0,4}[0-9]{0,3}[<>&]{1,3} {0,4}[0-9]{0,3} {0,4}\/dev\/(tcp|udp)\/[\w$.\{-]{2,100}\/[0-9$]/
    $2 = /<&[0-9]{1,3}-?; {0,4}exec [0-9]{1,3}<> {0,4}\/dev\/(tcp|udp)\/[\w$.\{\}-]{2,100}\/[0-9$]/
    $3 = /\/dev\/(tcp|udp)\/[\w$.\{\}-]{2,100}\/[0-9$\{\}A-Z]{1,12} {0,4}0[<>]&1/
    $4 = /zmodload zsh\/net\/tcp[^\n]{0,200}ztcp [^\n]{0,120}(<&|>&)/
    $5 = /\/dev\/(tcp|udp)\/[\w$.\{\}-]{2,100}\/[0-9$\{\}A-Z]{1,12}[^\n]{0,24}\| ?(\/bin\/)?(ba)?sh[^\n]{0,24}[>|]/
  condition:
    filesize < 1MB and uint32be(0) != 0x7f454c46 and not names_signatures and any of them
}

rule reverse_shell_netcat
{
  meta:
    author = "volforensic"
    description = "netcat or telnet joined with a shell: a reverse or a bind shell"
    severity = "high"
    confidence = "high"
    attack = "T1059.004"
    reference = "https://attack.mitre.org/techniques/T1059/004/"
    family = "reverse-shell"
  strings:
    $1 = /(nc|ncat|netcat|nc\.traditional)( -[a-z]{1,6}){0,3} [\w$.\{\}-]{4,100} [0-9$][\w\{\}]{0,12} (-e|-c|--exec|--sh-exec) ["']?(\/usr)?(\/bin\/)?(ba|da|z|a)?sh/
    $2 = /(nc|ncat|netcat|nc\.traditional) [^\n]{0,60}-[a-z]{0,4}l[a-z]{0,4} [^\n]{0,60}(-e|-c|--exec|--sh-exec) ["']?(\/usr)?(\/bin\/)?(ba|da|z|a)?sh/
    $3 = /(mkfifo|mknod) [^\n]{2,80}[\n;&][^\n]{0,120}(\/bin\/)?(ba|da|z)?sh( -i)?[^\n]{0,30}\| ?(busybox )?(nc|ncat|netcat|telnet|openssl s_client|socat) /
    $4 = /telnet [\w$.\{\}-]{4,100} [0-9$]\w{0,12} {0,2}\| {0,2}(\/bin\/)?(ba)?sh {0,2}\| {0,2}telnet /
    $5 = /busybox nc [^\n]{0,80}-e (\/bin\/)?(ba)?sh/
    $6 = /(nc|ncat|netcat)( -[a-z]{1,6}){0,3} -e ["']?(\/bin\/)?(ba|da|z|a)?sh["']? [\w$.\{\}-]{4,100} [0-9$]/
    $7 = /(\| ?sh ?\| ?|\/bin\/(ba)?sh ?\| ?)(nc|ncat|netcat) /
  condition:
    filesize < 1MB and uint32be(0) != 0x7f454c46 and not names_signatures and any of them
}

rule reverse_shell_openssl_socat
{
  meta:
    author = "volforensic"
    description = "A shell joined with socat or openssl s_client: a reverse or bind shell, encrypted or with a terminal"
    severity = "high"
    confidence = "high"
    attack = "T1059.004, T1573.002"
    reference = "https://attack.mitre.org/techniques/T1573/002/"
    family = "reverse-shell"
  strings:
    $1 = /openssl s_client [^\n]{0,120}-connect [^\n|]{4,120}\| {0,2}(\/bin\/)?(ba|da|z)?sh/
    $2 = /sh -i[^\n|]{0,40}\| {0,2}openssl s_client [^\n]{0,120}-connect/
    $3 = /socat [^\n]{0,120}(tcp|openssl|ssl|tcp4|tcp6|udp)(-connect|-listen|-l)?:[^\n]{2,160}exec:["']?(\/bin\/|\/usr\/bin\/)?(ba|da|z)?sh/ nocase
    $4 = /socat [^\n]{0,60}exec:["']?(\/bin\/|\/usr\/bin\/)?(ba|da|z)?sh[^\n]{0,80}(tcp|openssl|ssl|tcp4|tcp6)(-connect|-listen|-l)?:/ nocase
  condition:
    filesize < 1MB and uint32be(0) != 0x7f454c46 and not names_signatures and any of them
}

rule reverse_shell_awk
{
  meta:
    author = "volforensic"
    description = "awk that runs what a TCP connection gives it: a reverse shell"
    severity = "high"
    confidence = "high"
    attack = "T1059.004"
    reference = "https://www.gnu.org/software/gawk/manual/html_node/TCP_002fIP-Networking.html"
    family = "reverse-shell"
  strings:
    $net = "/inet/tcp/0/"
    $loop = "|& getline"
    $run_1 = /while {0,2}\( {0,2}\(?\w{1,12} ?\|& ?getline/
    $run_2 = /print (\$0 )?\|& ?\w/
  condition:
    filesize < 64KB and uint32be(0) != 0x7f454c46 and not names_signatures and $net and $loop and all of ($run_*)
}

rule reverse_shell_python
{
  meta:
    author = "volforensic"
    description = "Python that ties a socket to a shell: a reverse or bind shell"
    severity = "high"
    confidence = "high"
    attack = "T1059.006"
    reference = "https://attack.mitre.org/techniques/T1059/006/"
    family = "reverse-shell"
  strings:
    $socket = "socket.socket("
    $import = "import socket"
    $dup = /dup2\(\s{0,4}\w{1,16}\.fileno\(\)\s{0,4},\s{0,4}(0|1|2|\w{1,6})\s{0,4}\)/
    $map = /for \w{1,6} in \(0, ?1, ?2\)/
    $run_1 = /pty\.spawn\(\s{0,4}\[?["'](\/bin\/|\/usr\/bin\/)?(ba|da|z)?sh/
    $run_2 = /(subprocess\.(call|Popen|run)|os\.system|os\.execl?v?p?e?)\(\s{0,4}\[?["'](\/bin\/|\/usr\/bin\/)?(ba|da|z)?sh["' ]/
    $loop = /(Popen|check_output|getoutput|popen)\(\s{0,4}\w{1,16}(\.decode\([^)]{0,12}\))?\s{0,4}[,)]/
    $recv = /\w{1,16}\s{0,2}=\s{0,2}\w{1,16}\.recv\([0-9]{3,6}\)/
    $send = /\.send(all)?\(\s{0,4}(\w{1,16}|str\.encode\(\w{1,16}\)|\w{1,16}\.encode\([^)]{0,12}\)|\w{1,16}\.stdout\.read\(\)[^)]{0,24})\s{0,4}\)/
    $connect = /\.connect\(\(\s{0,2}["'][\w.-]{4,100}["'],\s{0,2}[0-9]{2,5}\s{0,2}\)\)/
  condition:
    filesize < 64KB and uint32be(0) != 0x7f454c46 and not names_signatures and $socket and
    ((($dup or $map) and any of ($run_*)) or ($import and $connect and $recv and $loop and $send))
}

rule reverse_shell_perl_ruby_lua
{
  meta:
    author = "volforensic"
    description = "Perl, Ruby or Lua that ties a socket to a shell: a reverse or bind shell"
    severity = "high"
    confidence = "high"
    attack = "T1059"
    reference = "https://attack.mitre.org/techniques/T1059/"
    family = "reverse-shell"
  strings:
    $perl_socket_1 = "sockaddr_in("
    $perl_socket_2 = "IO::Socket::INET"
    $perl_in_1 = /open\s{0,2}\(?\s{0,2}STDIN\s{0,2},\s{0,2}["'][+<>&]{1,3}/
    $perl_in_2 = /STDIN->fdopen\(\$\w{1,16}\s{0,2},/
    $perl_out = /(open\s{0,2}\(?\s{0,2}STDOUT\s{0,2},\s{0,2}["'][+<>&]{1,3}|\$~->fdopen\(\$\w{1,16})/
    $perl_run = /(exec|system)\s{0,2}[\(\{]?\s{0,2}["'](\/bin\/|\/usr\/bin\/)?(ba|da|z)?sh["' ]/
    $perl_while = /system ?\$_ ?while ?<>/
    $ruby_1 = /TCPSocket\.(new|open)\([^\n]{2,160}(IO\.popen|exec sprintf|\$stdin\.reopen|\.to_i;exec)/
    $ruby_2 = /exec sprintf\(["']\/bin\/(ba)?sh -i <&%d/
    $lua_1 = /tcp\(\)[^\n]{0,120}:connect\([^\n]{0,300}io\.popen\(/
    $lua_2 = /os\.execute\(["']\/bin\/(ba)?sh -i <&[0-9]/
  condition:
    filesize < 256KB and uint32be(0) != 0x7f454c46 and not names_signatures and
    ((any of ($perl_socket_*) and ((any of ($perl_in_*) and ($perl_run or $perl_while) and $perl_out) or ($perl_in_2 and $perl_while))) or any of ($ruby_*, $lua_*))
}

rule reverse_shell_php
{
  meta:
    author = "volforensic"
    description = "PHP that opens a connection to a host and joins it with a shell"
    severity = "high"
    confidence = "high"
    attack = "T1059"
    reference = "https://www.php.net/manual/en/function.fsockopen.php"
    family = "reverse-shell"
  strings:
    $php = "<?php"
    $line = /php -r ["'][^\n]{0,40}fsockopen\([^\n]{4,120}(exec|system|passthru|popen|proc_open|`)/
    $open_1 = /fsockopen\s{0,2}\(\s{0,2}(\$\w{1,24}|["'][\w.:-]{4,100}["'])\s{0,2},/
    $open_2 = "stream_socket_client("
    $open_3 = "socket_create("
    $run = /(proc_open|popen|shell_exec|exec|system)\s{0,2}\(/
    $shell_1 = /["'](uname -a; ?w; ?id; ?)?\/bin\/(ba|da)?sh( -i)?["'; ]/
    $shell_2 = "/bin/sh -i"
    $pipes = "array(\"pipe\""
    $pipes_2 = "['pipe'"
  condition:
    filesize < 256KB and uint32be(0) != 0x7f454c46 and not names_signatures and
    ($line or ($php in (0..512) and any of ($open_*) and $run and ($shell_2 or ($shell_1 and any of ($pipes*)))))
}

rule reverse_shell_node_java_go
{
  meta:
    author = "volforensic"
    description = "JavaScript, Java, Groovy or Go source that joins a socket with a shell"
    severity = "high"
    confidence = "medium"
    attack = "T1059.007, T1059"
    reference = "https://attack.mitre.org/techniques/T1059/007/"
    family = "reverse-shell"
  strings:
    $node_1 = /\w{1,16}\.pipe\(\w{1,16}\.stdin\)/
    $node_2 = /\.stdout\.pipe\(\w{1,16}\)/
    $node_3 = /spawn\(["'](\/bin\/|\/usr\/bin\/)?(ba|da)?sh["']/
    $node_4 = /require\(["'](node:)?net["']\)/
    $java_1 = /(ProcessBuilder\(|getRuntime\(\)\.exec\()[^\n]{0,80};\s{0,8}(final )?(java\.net\.)?Socket \w{1,12}\s{0,2}=\s{0,2}new /
    $java_2 = /getRuntime\(\)\.exec\([^\n]{0,60}\/bin\/(ba)?sh[^\n]{0,60}\/dev\/tcp\//
    $go = /net\.Dial\(["']tcp["'][^\n]{4,160}exec\.Command\(["'][\/\w]{0,12}sh["']\)/
  condition:
    filesize < 64KB and uint32be(0) != 0x7f454c46 and not names_signatures and (all of ($node_*) or any of ($java_*) or $go)
}

rule shellcode_elf
{
  meta:
    author = "volforensic"
    description = "A program of one segment that may be read, written and executed, without sections: bare shellcode in an ELF header"
    severity = "high"
    confidence = "high"
    attack = "T1059, T1620"
    reference = "https://refspecs.linuxfoundation.org/elf/gabi4+/ch5.pheader.html"
    family = "shellcode"
  condition:
    uint32be(0) == 0x7f454c46 and filesize > 84 and filesize < 64KB and
    ((uint8(4) == 2 and uint8(5) == 1 and uint16(60) == 0 and uint16(56) == 1 and uint32(64) == 1 and uint32(68) == 7 and filesize > 120) or
      (uint8(4) == 1 and uint8(5) == 1 and uint16(48) == 0 and uint16(44) == 1 and uint32(52) == 1 and uint32(76) == 7))
}

rule shellcode_socket_elf
{
  meta:
    author = "volforensic"
    description = "Machine code that opens a socket or maps memory for a next stage by bare system calls, as hand-written shellcode does"
    severity = "high"
    confidence = "high"
    attack = "T1059, T1571"
    reference = "https://man7.org/linux/man-pages/man2/socket.2.html"
    family = "shellcode"
  strings:
    // amd64: socket(2, 1, 0) with the numbers pushed and popped; then connect or bind.
    $socket_64 = { 6A 29 58 [0-6] 6A 02 5F [0-4] 6A 01 5E [0-4] 0F 05 }
    // amd64: mmap of a page that may be executed, as a stager does.
    $mmap_64 = { 6A 09 58 99 B6 10 48 89 D6 4D 31 C9 6A 22 41 5A }
    // i386: socketcall(1, {2, 1, 0}).
    $socket_32 = { 31 DB F7 E3 53 43 53 6A 02 ( 89 E1 B0 66 | B0 66 89 E1 ) CD 80 }
    $socket_32b = { 6A 66 58 6A 01 5B [0-6] 6A 02 [0-4] CD 80 }
    // dup2 in a loop, then execve of /bin//sh.
    $dup_64 = { 6A 03 5E 48 FF CE 6A 21 58 0F 05 75 F6 }
    $shell_32 = { 68 2F 2F 73 68 68 2F 62 69 6E 89 E3 }
  condition:
    uint32be(0) == 0x7f454c46 and filesize < 16MB and any of ($socket_*, $mmap_64, $dup_64, $shell_32)
}

rule reverse_shell_elf
{
  meta:
    author = "volforensic"
    description = "A very small program that connects or listens, ties the socket to its input and output and starts a shell"
    severity = "medium"
    confidence = "medium"
    attack = "T1059.004"
    reference = "https://man7.org/linux/man-pages/man2/dup2.2.html"
    family = "reverse-shell"
  strings:
    $dup = "dup2" fullword
    $connect = "connect" fullword
    $bind = "bind" fullword
    $run_1 = "execve" fullword
    $run_2 = "execl" fullword
    $run_3 = "execv" fullword
    $run_4 = "execlp" fullword
    $shell_1 = "/bin/sh"
    $shell_2 = "/bin/bash"
    $address_1 = "inet_addr" fullword
    $address_2 = "inet_pton" fullword
    $address_3 = "htons" fullword
    $options = "getopt"
    $usage = "sage:"
  condition:
    uint32be(0) == 0x7f454c46 and filesize < 32KB and uint16(16) != 1 and $dup and any of ($connect, $bind) and any of ($run_*) and any of ($shell_*) and any of ($address_*) and not $options and not $usage
}
