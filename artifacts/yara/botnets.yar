/*
  Bots for attacks on other hosts. Their programs for many machines are alike: the words of their commands and of their loaders.
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

rule bot_mirai
{
  meta:
    author = "volforensic"
    description = "A bot of the Mirai family: its words for watchdogs, busybox and its rivals, in the clear or under its key"
    severity = "critical"
    confidence = "medium"
    attack = "T1498, T1110.001"
    reference = "https://attack.mitre.org/software/S0632/"
    family = "mirai"
  strings:
    $1 = "/dev/watchdog"
    $2 = "/dev/misc/watchdog"
    $3 = "/bin/busybox "
    $4 = "applet not found"
    $5 = "listening tun0"
    $6 = "dvrHelper"
    $7 = "/proc/net/tcp"
    $8 = "TSource Engine Query"
    $9 = "POST /cdn-cgi/"
    $10 = "MIRAI"
    $11 = "/bin/busybox wget http"
    $12 = "xc3511"
    $13 = "enable\x00system\x00shell"
    $encoded_1 = "/dev/watchdog" xor(0x22)
    $encoded_2 = "/dev/misc/watchdog" xor(0x22)
    $encoded_3 = "listening tun0" xor(0x22)
    $encoded_4 = "TSource Engine Query" xor(0x22)
    $encoded_5 = "applet not found" xor(0x22)
  condition:
    uint32be(0) == 0x7f454c46 and filesize < 2MB and (2 of ($encoded_*) or 4 of ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13))
}

rule bot_gafgyt
{
  meta:
    author = "volforensic"
    description = "A bot of the Gafgyt family (BASHLITE, Qbot, Lizkebab): the words of its commands"
    severity = "critical"
    confidence = "high"
    attack = "T1498, T1110.001"
    reference = "https://malpedia.caad.fkie.fraunhofer.de/details/elf.bashlite"
    family = "gafgyt"
  strings:
    $1 = "KILLATTK"
    $2 = "LOLNOGTFO"
    $3 = "REPORT %s:%s:"
    $4 = "My IP: %s"
    $5 = "SCANNER ON"
    $6 = "UDP Flooding"
    $7 = "TCP Flooding"
    $8 = "HTTP Flooding"
    $9 = "JUNK Flooding"
    $10 = "HOLD Flooding"
    $11 = "/bin/busybox;echo -e '"
    $12 = "GETLOCALIP"
    $13 = "STUDP"
    $14 = "TELNET ON"
    $15 = "Killed %d."
    $16 = "BOGOMIPS"
    $17 = "PONG!"
    $18 = "Infected By"
    $19 = "\\x67\\x61\\x79\\x66\\x67\\x74"
  condition:
    uint32be(0) == 0x7f454c46 and filesize < 2MB and 3 of them
}

rule bot_tsunami
{
  meta:
    author = "volforensic"
    description = "A bot of the Tsunami family (Kaiten, Ziggy, Muhstik): commands over IRC"
    severity = "critical"
    confidence = "high"
    attack = "T1498, T1071.003"
    reference = "https://malpedia.caad.fkie.fraunhofer.de/details/elf.tsunami"
    family = "tsunami"
  strings:
    $1 = "TSUNAMI <target> <secs>"
    $2 = "PAN <target> <port> <secs>"
    $3 = "UNKNOWN <target> <secs>"
    $4 = "GETSPOOFS"
    $5 = "Spoofs: %d.%d"
    $6 = "NOTICE %s :Kaiten"
    $7 = "NOTICE %s :Killing pid %d"
    $8 = "NOTICE %s :TSUNAMI"
    $9 = "IRC <command>"
    $10 = "NICK %s\nUSER %s localhost localhost :%s"
    $11 = "NOTICE %s :Unable to comply."
    $12 = "muhstik"
    $13 = "kaiten" nocase
    $14 = "PRIVMSG %s :"
  condition:
    uint32be(0) == 0x7f454c46 and filesize < 4MB and 2 of them and any of ($1, $2, $3, $4, $5, $6, $7, $8, $11, $12, $13)
}

rule bot_xorddos
{
  meta:
    author = "volforensic"
    description = "A bot of the XorDDoS family: its key, or its ways to stay"
    severity = "critical"
    confidence = "high"
    attack = "T1498, T1053.003"
    reference = "https://attack.mitre.org/techniques/T1498/"
    family = "xorddos"
    anchor = "$key $1 $2 $3 $4 $5 $7 $8"
  strings:
    $key = "BB2FA36AAA9541F0"
    $1 = "/etc/cron.hourly/gcc.sh"
    $2 = "/lib/libudev.so"
    $3 = "/lib/libgcc4.so"
    $4 = "/etc/cron.hourly/cron.sh"
    $5 = "denyip="
    $6 = "filename="
    $7 = "rmfile="
    $8 = "sed -i '/\\/etc\\/cron.hourly/d'"
    $9 = "udev.pid"
  condition:
    uint32be(0) == 0x7f454c46 and filesize < 4MB and ($key or 3 of ($1, $2, $3, $4, $5, $6, $7, $8, $9))
}

rule bot_go_and_cpp
{
  meta:
    author = "volforensic"
    description = "A bot for attacks written in Go or C++ (Kaiji, Chaos, BillGates, ChinaZ, Mayday): the names of its functions and classes"
    severity = "critical"
    confidence = "medium"
    attack = "T1498"
    reference = "https://malpedia.caad.fkie.fraunhofer.de/details/elf.kaiji"
    family = "ddos-bot"
  strings:
    $kaiji_1 = "main.runganran"
    $kaiji_2 = "main.runshouhu"
    $kaiji_3 = "main.rundingshi"
    $kaiji_4 = "main.runkshell"
    $kaiji_5 = "main.runghost"
    $kaiji_6 = "main.Ares_"
    $gates_1 = "CAttackSyn"
    $gates_2 = "CAttackUdp"
    $gates_3 = "CAttackDns"
    $gates_4 = "CThreadAttack"
    $gates_5 = "CCmdAtkTask"
    $gates_6 = "12CUpdateGates"
    $gates_7 = "CAttackIcmp"
    $flood_1 = "tcp_flood"
    $flood_2 = "udp_flood"
    $flood_3 = "syn_flood"
    $flood_4 = "http_flood"
    $flood_5 = "SYN_Flood"
    $flood_6 = "UDP_Flood"
    $flood_7 = "DNS_Flood"
    $flood_8 = "attack_tcp_syn"
    $flood_9 = "attack_udp_generic"
    $flood_10 = "attack_app_http"
    $flood_11 = "attack_gre_ip"
    $flood_12 = "main.udpflood"
    $flood_13 = "main.SYNflood"
  condition:
    uint32be(0) == 0x7f454c46 and filesize < 32MB and (2 of ($kaiji_*) or 3 of ($gates_*) or 4 of ($flood_*))
}

rule bot_perl_irc
{
  meta:
    author = "volforensic"
    description = "A bot in Perl that takes commands over IRC (ShellBot, PerlBot)"
    severity = "critical"
    confidence = "high"
    attack = "T1071.003, T1059"
    reference = "https://attack.mitre.org/techniques/T1071/003/"
    family = "shellbot"
  strings:
    $irc_1 = "PRIVMSG"
    $irc_2 = "NICK "
    $socket = "IO::Socket"
    $1 = "udpflood" nocase
    $2 = "tcpflood" nocase
    $3 = "httpflood" nocase
    $4 = "portscan"
    $5 = "$processo"
    $6 = "fakeproc"
    $7 = "shellaccess"
    $8 = "sub shell"
    $9 = "!u @"
    $10 = "conback"
    $11 = "$0=\"$processo\""
  condition:
    filesize < 512KB and uint32be(0) != 0x7f454c46 and not names_signatures and all of ($irc_*) and $socket and 3 of ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
}

rule bot_perl_packed
{
  meta:
    author = "volforensic"
    description = "Perl that unpacks a long text and runs it: how Outlaw and others hide their bots"
    severity = "high"
    confidence = "medium"
    attack = "T1027, T1059"
    reference = "https://attack.mitre.org/techniques/T1027/"
    family = "shellbot"
  strings:
    $1 = /eval\s{0,2}\(?\s{0,2}unpack\s{0,2}\(?\s{0,2}u\s{0,2}=>\s{0,2}q/
    $2 = /eval\s{0,2}\(?\s{0,2}(decode_base64|MIME::Base64::decode)\(?\s{0,2}["'][A-Za-z0-9+\/=\n]{80}/
    $3 = /eval\s{0,2}\(?\s{0,2}unpack\s{0,2}\(?\s{0,2}["'][uH]\*?["']\s{0,2},/
  condition:
    filesize < 1MB and uint32be(0) != 0x7f454c46 and not names_signatures and any of them
}
