/*
  What brings a miner onto a server: scripts that kill rivals, disarm the host, download and start; the worm that carries
  them; packed programs. A script that only kills miners may be a defender's: it is low by itself.
*/

rule miner_dropper_script
{
  meta:
    author = "volforensic"
    description = "A script that kills rival miners, downloads, and disarms the host or makes itself stay: a miner's dropper"
    severity = "critical"
    attack = "T1059.004, T1105, T1496.001, T1562.001"
    reference = "https://attack.mitre.org/software/S0599/"
    family = "kinsing"
  strings:
    $rival_1 = /(pkill|killall|pgrep)( -[a-z0-9]{1,8}){0,4} ["']?[\/.\w]{0,32}(xmrig|minerd|kinsing|kdevtmpfsi|cpuminer|xmr-stak|cryptonight|watchbog|kerberods|kworkerds|sustes|ddgs|zzh|sysrv|sysguard|sysupdate|networkservice|dbused|kthreaddi|kswapd0|c3pool|nanopool|supportxmr|monero)/
    $rival_2 = /grep [^\n|]{0,64}(xmrig|minerd|kinsing|kdevtmpfsi|cpuminer|stratum|cryptonight|kworkerds|watchbog|sustes|monero|nanopool|supportxmr|crypto-pool|:3333|:4444|:5555|:7777|:14444|:45700)[^\n]{0,160}kill/
    $rival_3 = /xargs (-[a-zA-Z] ?[%{}\w]{0,8} ?){0,3}(sudo )?kill -9/
    $rival_4 = /rm -r?f[r]? [^\n]{0,80}\/tmp\/(kinsing|kdevtmpfsi|xmrig|\.?ICEd|ddgs|watchbog|sysupdate|networkservice)/
    $download_1 = /(curl|wget|wd1|cd1|wge|cur) [^\n]{0,120}(https?:\/\/|[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}|\$)/
    $download_2 = /(urllib|urlopen|LWP::Simple|\/dev\/tcp\/)/
    $download_3 = /\w=["']?(\/usr\/bin\/)?(curl|wget|wd1|cd1|wge|cur)[ "']/
    $disarm_1 = /setenforce 0/
    $disarm_2 = /ufw disable/
    $disarm_3 = /iptables (-F|--flush)/
    $disarm_4 = /chattr (-R )?-[iaue]{1,4} [^\n]{0,32}\/(tmp|var|etc|root|usr)/
    $disarm_5 = /(aliyun|aegis|AliYunDun|AliSecGuard|qcloud|YDService|bcm-agent|cloudmonitor|quartz_uninstall)/
    $disarm_6 = /nmi_watchdog/
    $disarm_7 = /rm -rf \/var\/log\/(syslog|secure|messages|auth)/
    $disarm_8 = /(unset HISTFILE|HISTFILE=\/dev\/null|HISTSIZE=0|history -c)/
    $disarm_9 = /SELINUX=disabled/
    $stay_1 = /crontab (-r|-)\s/
    $stay_2 = /\/var\/spool\/cron/
    $stay_3 = /\/etc\/ld\.so\.preload/
    $stay_4 = /(>>|cat >|tee)[^\n]{0,16} ?["']?\/(etc\/(cron|systemd|rc\.local|init\.d)|root\/\.ssh|home\/[^\n]{1,32}\.ssh)/
    $stay_5 = /systemctl (enable|start)( --now)? [\w.-]{1,40}/
    $start_1 = /chmod (-R )?([ugoa]{0,3}\+r?w?x|[0-7]{0,1}7[0-7][0-7]) /
    $start_2 = /nohup /
    $mine_1 = /nr_hugepages/
    $mine_2 = /stratum\+[a-z]{3}:/
    $mine_3 = /--donate-level/
    $mine_4 = /wrmsr -a/
  condition:
    filesize < 4MB and uint32be(0) != 0x7f454c46 and
    (#rival_1 + #rival_2 + #rival_3 + #rival_4 >= 3) and ($rival_1 or $rival_2 or $rival_4) and
    any of ($download_*) and any of ($start_*) and
    (2 of ($disarm_*) or any of ($stay_1, $stay_2, $stay_3, $stay_4) or ($stay_5 and any of ($disarm_*, $mine_*)))
}

rule miner_install_script
{
  meta:
    author = "volforensic"
    description = "A script that downloads a miner by name and starts it or makes it stay"
    severity = "high"
    attack = "T1105, T1496.001"
    reference = "https://github.com/MoneroOcean/xmrig_setup"
    family = "miner"
  strings:
    $fetch = /(curl|wget|git clone)[^\n]{0,200}(xmrig|xmr-stak|cpuminer|minerd|kinsing|kdevtmpfsi|nbminer|lolminer|srbminer|t-rex|moneroocean)/ nocase
    $start_1 = /chmod (-R )?([ugoa]{0,3}\+r?w?x|[0-7]{0,1}7[0-7][0-7]) /
    $start_2 = /nohup /
    $start_3 = /(screen|tmux) [^\n]{0,40}(xmrig|miner)/
    $start_4 = /crontab -/
    $start_5 = /systemctl (enable|start|daemon-reload)/
    $start_6 = /\.\/(xmrig|minerd|cpuminer|xmr-stak|nbminer|lolMiner|SRBMiner|t-rex)/
  condition:
    filesize < 1MB and uint16be(0) == 0x2321 and $fetch and any of ($start_*)
}

rule kills_miners
{
  meta:
    author = "volforensic"
    description = "A script that kills miners by name: most often an administrator who cleaned up"
    severity = "low"
    attack = "T1489"
    reference = "https://attack.mitre.org/techniques/T1489/"
    family = "miner"
  strings:
    $1 = /(pkill|killall)( -[a-z0-9]{1,8}){0,4} ["']?[\/.\w]{0,32}(xmrig|minerd|kinsing|kdevtmpfsi|cpuminer|xmr-stak|watchbog|kerberods|kworkerds|sustes|ddgs)/
    $2 = /grep [^\n|]{0,64}(xmrig|minerd|kinsing|kdevtmpfsi|cpuminer|kworkerds|watchbog|sustes)[^\n]{0,160}kill/
  condition:
    filesize < 4MB and uint16be(0) == 0x2321 and (#1 + #2) >= 2 and not miner_dropper_script
}

rule kills_rival_miners
{
  meta:
    author = "volforensic"
    description = "A script that kills miners by name and starts or schedules something: a dropper clears its way"
    severity = "medium"
    attack = "T1489"
    reference = "https://attack.mitre.org/techniques/T1489/"
    family = "miner"
  strings:
    $start_1 = /chmod (-R )?([ugoa]{0,3}\+r?w?x|[0-7]{0,1}7[0-7][0-7]) /
    $start_2 = /(nohup|setsid) /
    $start_3 = /crontab (-|\/)/
    $start_4 = /\n[ \t]{0,8}\.\/\w/
    $start_5 = /(curl|wget) /
    $start_6 = /\/(tmp|dev\/shm|var\/tmp)\/[\w.\/-]{1,60}[^\n]{0,60} &[ \t]{0,4}\n/
  condition:
    kills_miners and any of ($start_*)
}

rule download_from_address_piped_to_shell
{
  meta:
    author = "volforensic"
    description = "A script that downloads from the bare address of a public host and gives what comes to a shell"
    severity = "high"
    attack = "T1059.004, T1105"
    reference = "https://attack.mitre.org/techniques/T1105/"
    family = "downloader"
  strings:
    $1 = /(curl|wget|fetch|lynx -source|cd1|wd1|curl1|wget1|cdt|wdt|wge|cur) [^\n|]{0,160}([a-z]{3,5}:\/\/)?[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}[:\/][^\n|]{0,200}\|[ \t]{0,4}(sudo )?(\/bin\/|\/usr\/bin\/)?(ba|da|z|k)?sh/
    $private = /(curl|wget|fetch|lynx -source|cd1|wd1|curl1|wget1|cdt|wdt|wge|cur) [^\n|]{0,160}[\/ "'@](10|127|192\.168|169\.254|172\.(1[6-9]|2[0-9]|3[01]))\.[0-9]{1,3}\.[0-9]{1,3}[^\n|]{0,200}\|[ \t]{0,4}(sudo )?(\/bin\/|\/usr\/bin\/)?(ba|da|z|k)?sh/
  condition:
    filesize < 1MB and uint32be(0) != 0x7f454c46 and #1 > #private
}

rule download_piped_to_shell
{
  meta:
    author = "volforensic"
    description = "A short script that downloads another one and runs it unseen: installers do so, and so do a cron job's updaters"
    severity = "low"
    attack = "T1059.004, T1105"
    reference = "https://attack.mitre.org/techniques/T1105/"
    family = "downloader"
  strings:
    $1 = /\n[ \t]{0,16}((sudo|nohup|eval|then|do) ){0,2}(\/usr\/bin\/)?(curl|wget|fetch) [^\n|#]{0,300}\|[ \t]{0,4}((sudo|nohup) )?(\/bin\/|\/usr\/bin\/)?(env )?(ba|da|z|k)?sh[ \t\n;&]/
    $2 = /\n[^\n#]{0,40}(ba|da|z)?sh -c ["']?\$\((curl|wget) /
    $3 = /\n[^\n#]{0,40}<\((curl|wget) /
  condition:
    filesize < 16KB and uint16be(0) == 0x2321 and any of them
}

rule download_twice_piped_to_shell
{
  meta:
    author = "volforensic"
    description = "curl, and wget where curl is missing, piped to a shell: how miners' crontabs and droppers fetch their next stage"
    severity = "high"
    attack = "T1059.004, T1105"
    reference = "https://attack.mitre.org/software/S0599/"
    family = "downloader"
  strings:
    $1 = /\((curl|wget|cd1|wd1)[^\n()]{1,200}\|\|[ \t]{0,4}(curl|wget|cd1|wd1|python)[^\n()]{1,200}\)[ \t]{0,4}\|[ \t]{0,4}(sudo )?(\/bin\/|\/usr\/bin\/)?(ba|da|z|k)?sh/
  condition:
    filesize < 1MB and uint32be(0) != 0x7f454c46 and $1
}

rule base64_piped_to_shell
{
  meta:
    author = "volforensic"
    description = "A script that decodes a long base64 text and gives it to an interpreter"
    severity = "high"
    attack = "T1027, T1140, T1059.004"
    reference = "https://attack.mitre.org/techniques/T1140/"
    family = "downloader"
  strings:
    $1 = /[A-Za-z0-9+\/]{38}[A-Za-z0-9+\/=]{2}["']?[ \t]{0,4}(\||<<<)[ \t]{0,4}base64 (-d|-D|--decode)[^\n|]{0,16}\|[ \t]{0,4}(sudo )?(\/bin\/|\/usr\/bin\/)?((ba|da|z|k)?sh|python3?|perl)/
    $2 = /base64 (-d|-D|--decode) {0,4}<<< {0,4}["']?[A-Za-z0-9+\/]{40}[A-Za-z0-9+\/=]{0,4000}["']?[ \t]{0,4}\|[ \t]{0,4}(sudo )?(\/bin\/|\/usr\/bin\/)?(ba|da|z|k)?sh/
    $3 = /(exec|eval)\s{0,2}\(\s{0,2}(compile\()?((__import__\(["']base64["']\)|base64)\.)?b64decode\(["'bru]{0,3}[A-Za-z0-9+\/]{40}/
  condition:
    filesize < 1MB and uint32be(0) != 0x7f454c46 and any of them
}

rule base64_shell_download
{
  meta:
    author = "volforensic"
    description = "A download, a reverse shell or an ELF program hidden in base64 inside a script"
    severity = "high"
    attack = "T1027, T1105"
    reference = "https://attack.mitre.org/techniques/T1027/"
    family = "downloader"
  strings:
    $1 = "curl -fsSL http" base64
    $2 = "wget -q -O - http" base64
    $3 = "wget -qO- http" base64
    $4 = "/dev/tcp/" base64
    $5 = "kdevtmpfsi" base64
    $elf = /f0VMRg(IBAQ|EBAQ)[A-Za-z0-9+\/]{200}/
  condition:
    filesize < 8MB and uint16be(0) == 0x2321 and any of them
}

rule kinsing_elf
{
  meta:
    author = "volforensic"
    description = "Kinsing, the Go worm that carries the miner kdevtmpfsi: names of its functions and its scan command"
    severity = "critical"
    attack = "T1496.001, T1046, T1110.001, T1105"
    reference = "https://attack.mitre.org/software/S0599/"
    family = "kinsing"
  strings:
    $1 = "main.masscan"
    $2 = "main.redisBrute"
    $3 = "main.backconnect"
    $4 = "main.checkHealth"
    $5 = "main.runTask"
    $6 = "main.RC4"
    $7 = "ActiveC2CUrl"
    $8 = "-iL $INPUT --rate $RATE -p$PORT -oL $OUTPUT"
    $9 = "main.minerRunningCheck"
    $10 = "main.getMinerPid"
    $11 = "kdevtmpfsi"
    $12 = "main.startCmd"
  condition:
    uint32be(0) == 0x7f454c46 and 4 of them
}

rule miner_worm_elf
{
  meta:
    author = "volforensic"
    description = "A program that names rival miners, a way to stay and a way to fetch: a compiled dropper"
    severity = "high"
    attack = "T1105, T1496.001, T1053.003"
    reference = "https://attack.mitre.org/software/S0599/"
    family = "kinsing"
  strings:
    $rival_1 = "kdevtmpfsi"
    $rival_2 = "kinsing"
    $rival_3 = "kworkerds"
    $rival_4 = "watchbog"
    $rival_5 = "kthreaddi"
    $rival_6 = "sysrv"
    $rival_7 = "pkill -f"
    $rival_8 = "xmrig"
    $stay_1 = "/var/spool/cron"
    $stay_2 = "crontab -"
    $stay_3 = "/etc/ld.so.preload"
    $stay_4 = "/.ssh/authorized_keys"
    $fetch_1 = "curl "
    $fetch_2 = "wget "
    $fetch_3 = "redis"
  condition:
    uint32be(0) == 0x7f454c46 and 2 of ($rival_*) and 1 of ($stay_*) and 1 of ($fetch_*)
}

rule upx_packed_elf
{
  meta:
    author = "volforensic"
    description = "A program packed with UPX: what is in it is hidden from every other rule"
    severity = "medium"
    attack = "T1027.002"
    reference = "https://upx.github.io/"
    family = "packed"
  strings:
    $magic = "UPX!"
  condition:
    uint32be(0) == 0x7f454c46 and filesize > 2KB and $magic in (0..1024) and #magic >= 2
}

rule upx_packed_elf_altered
{
  meta:
    author = "volforensic"
    description = "A program packed with UPX whose magic was changed, so that upx does not unpack it: malware does this, packagers do not"
    severity = "high"
    attack = "T1027.002"
    reference = "https://github.com/upx/upx/blob/devel/src/stub/src/include/linux.h"
    family = "packed"
  condition:
    // l_info after the program headers: checksum, magic, l_lsize, l_version, l_format; then p_info: 0, file size, block size.
    filesize > 4KB and uint32be(0) == 0x7f454c46 and
    (
      (
        uint8(4) == 2 and uint16(56) < 16 and uint16(60) == 0 and
        (uint8(64 + 56 * uint16(56) + 11) == 22 or uint8(64 + 56 * uint16(56) + 11) == 42) and
        uint8(64 + 56 * uint16(56) + 10) >= 11 and uint8(64 + 56 * uint16(56) + 10) <= 14 and
        uint32(64 + 56 * uint16(56) + 12) == 0 and
        uint32be(64 + 56 * uint16(56) + 4) != 0x55505821
      ) or
      (
        uint8(4) == 1 and uint16(44) < 16 and uint16(48) == 0 and
        (uint8(52 + 32 * uint16(44) + 11) == 12 or uint8(52 + 32 * uint16(44) + 11) == 23) and
        uint8(52 + 32 * uint16(44) + 10) >= 11 and uint8(52 + 32 * uint16(44) + 10) <= 14 and
        uint32(52 + 32 * uint16(44) + 12) == 0 and
        uint32be(52 + 32 * uint16(44) + 4) != 0x55505821
      )
    )
}
