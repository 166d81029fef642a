/*
  What brings a miner onto a server: scripts that kill rivals, disarm the host, download and start; the worm that carries
  them; packed programs. A script that only kills miners may be a defender's: it is low by itself.
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

rule miner_dropper_script
{
  meta:
    author = "volforensic"
    description = "A script that kills rival miners, downloads, and disarms the host or makes itself stay: a miner's dropper"
    severity = "critical"
    confidence = "high"
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
    confidence = "high"
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
    confidence = "medium"
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
    confidence = "medium"
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
    confidence = "high"
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
    confidence = "medium"
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
    confidence = "high"
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
    confidence = "high"
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
    confidence = "high"
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
    confidence = "high"
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
    confidence = "high"
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
    confidence = "high"
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
    confidence = "high"
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

rule worm_over_known_hosts
{
  meta:
    author = "volforensic"
    description = "A script that logs in to every host it finds in known_hosts or the history and runs a download there: a worm over SSH"
    severity = "critical"
    confidence = "high"
    attack = "T1021.004, T1570, T1105"
    reference = "https://attack.mitre.org/software/S0599/"
    family = "ssh-worm"
  strings:
    $from_1 = "known_hosts"
    $from_2 = ".bash_history"
    $from_3 = "id_rsa"
    $login = /ssh [^\n]{0,160}StrictHostKeyChecking[= ]no[^\n]{0,300}(curl|wget|base64|\/dev\/tcp|bash|\$\w{1,16})/
    $quiet = /BatchMode[= ]yes/
    $fetch = /(curl|wget)[^\n]{0,120}(https?:\/\/|[0-9]{1,3}\.[0-9]{1,3}\.|\$)/
  condition:
    filesize < 1MB and uint32be(0) != 0x7f454c46 and not names_signatures and $login and $fetch and $quiet and 2 of ($from_*)
}

rule loader_of_many_places
{
  meta:
    author = "volforensic"
    description = "The script of a botnet's loader: it tries one directory after the other, downloads from a bare address, makes it executable and runs it"
    severity = "high"
    confidence = "high"
    attack = "T1105, T1059.004"
    reference = "https://attack.mitre.org/techniques/T1105/"
    family = "loader"
  strings:
    $cd_1 = /cd \/tmp *(\|\||&&|;) *cd \/(var\/(run|tmp)|mnt|root|dev\/shm)/
    $cd_2 = /cd (\/tmp|\/var\/run|\/mnt|\/root|\/dev\/shm|\/var\/tmp)\/? *\|\| *cd \//
    $fetch = /(wget|curl|tftp|ftpget|busybox wget)[^\n;&|]{1,80}[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}/
    $run_1 = /chmod (\+x|777|755|\*|[ugoa]{0,3}\+rwx)/
    $run_2 = /;\s{0,4}(sh|bash|\.\/)[\w .\/$-]{1,60};?\s{0,4}rm -rf? /
  condition:
    filesize < 512KB and uint32be(0) != 0x7f454c46 and not names_signatures and any of ($cd_*) and $fetch and any of ($run_*)
}

rule download_to_hidden_temporary_file
{
  meta:
    author = "volforensic"
    description = "A script that downloads to a hidden name in a temporary directory, makes it executable and starts it"
    severity = "high"
    confidence = "medium"
    attack = "T1105, T1564.001"
    reference = "https://attack.mitre.org/techniques/T1564/001/"
    family = "loader"
  strings:
    $fetch_1 = /(curl|wget|wd1|cd1)[^\n]{0,240}(-o|-O|--output|>)[ =]{0,2}["']?(\/tmp|\/var\/tmp|\/dev\/shm)\/\.[\w.\/-]{1,60}/
    $fetch_2 = /(-o|-O|--output|>)[ =]{0,2}["']?(\/tmp|\/var\/tmp|\/dev\/shm)\/\.[\w.\/-]{1,60}["']? [^\n]{0,40}https?:\/\//
    $run = /chmod [^\n]{0,24}["']?(\/tmp|\/var\/tmp|\/dev\/shm)\/\.[\w.\/-]{1,60}/
    $start = /[\r\n;&|(] {0,8}(nohup |setsid |sh |bash |exec )?["']?(\/tmp|\/var\/tmp|\/dev\/shm)\/\.[\w.\/-]{1,60}/
  condition:
    filesize < 256KB and uint32be(0) != 0x7f454c46 and not names_signatures and any of ($fetch_*) and ($run or $start)
}

rule campaign_names_in_script
{
  meta:
    author = "volforensic"
    description = "A script that uses the file names of several mining campaigns (TeamTNT, WatchDog, Rocke, 8220, Outlaw, perfctl) and downloads or starts something"
    severity = "high"
    confidence = "medium"
    attack = "T1059.004, T1496.001"
    reference = "https://attack.mitre.org/groups/G0139/"
    family = "campaign"
  strings:
    $team_tnt_1 = "TNTcurl"
    $team_tnt_2 = "teamtnt" nocase
    $team_tnt_3 = "hildeGard" nocase
    $team_tnt_4 = "/.../teamtnt"
    $team_tnt_5 = "chimaera"
    $team_tnt_6 = "bioset"
    $watchdog_1 = "phpguard"
    $watchdog_2 = "sysguard"
    $watchdog_3 = "redis2"
    $watchdog_4 = "/etc/phpupdate"
    $watchdog_5 = "networkservice"
    $rocke_1 = "khugepageds"
    $rocke_2 = "kerberods"
    $rocke_3 = "/etc/cron.d/apache"
    $rocke_4 = "kworkerds"
    $gang_1 = "bashirc"
    $gang_2 = "pwnRig" nocase
    $gang_3 = "whatminer"
    $gang_4 = "/tmp/dbused"
    $gang_5 = "hezb"
    $outlaw_1 = "dota3"
    $outlaw_2 = ".X25-unix"
    $outlaw_3 = "tddwrt7s"
    $outlaw_4 = ".configrc"
    $outlaw_5 = "mdrfckr"
    $perfctl_1 = "perfctl"
    $perfctl_2 = "wizlmsh"
    $perfctl_3 = "libgcwrap.so"
    $perfctl_4 = "/root/.config/cron"
    $perfctl_5 = "libpprocps.so"
    $perfctl_6 = "/tmp/.perf.c"
    $kinsing_1 = "/tmp/kdevtmpfsi"
    $kinsing_2 = "/var/tmp/kinsing"
    $kinsing_3 = "libsystem.so"
    $fetch = /(curl|wget)[^\n]{0,120}(https?:\/\/|[0-9]{1,3}\.[0-9]{1,3}\.|\$)/
    $start_1 = "nohup "
    $start_2 = /chmod (-R )?(\+x|[0-7]?7[0-7][0-7]|[ugoa]{1,3}\+\w{0,2}x)/
    $start_3 = "crontab"
  condition:
    filesize < 1MB and uint16be(0) == 0x2321 and not names_signatures and
    (2 of ($team_tnt_*) or 3 of ($watchdog_*) or 2 of ($rocke_*) or 2 of ($gang_*) or 2 of ($outlaw_*) or 2 of ($perfctl_*) or 2 of ($kinsing_*)) and
    ($fetch or 2 of ($start_*)) and not kills_miners
}

rule outlaw_key
{
  meta:
    author = "volforensic"
    description = "The public key that the Outlaw group puts into authorized_keys, by the comment that it always carries"
    severity = "critical"
    confidence = "high"
    attack = "T1098.004"
    reference = "https://attack.mitre.org/techniques/T1098/004/"
    family = "outlaw"
  strings:
    $key = /ssh-rsa AAAA[A-Za-z0-9+\/=]{100,800} mdrfckr/
  condition:
    filesize < 4MB and uint32be(0) != 0x7f454c46 and not names_signatures and $key
}

rule campaign_names_elf
{
  meta:
    author = "volforensic"
    description = "A program with the file names of a mining campaign in it (perfctl, pwnRig, WatchDog, Rocke, Outlaw)"
    severity = "high"
    confidence = "medium"
    attack = "T1496.001, T1036.005"
    reference = "https://attack.mitre.org/groups/G0106/"
    family = "campaign"
  strings:
    $perfctl_1 = "perfctl"
    $perfctl_2 = "wizlmsh"
    $perfctl_3 = "libgcwrap.so"
    $perfctl_4 = "/root/.config/cron/perf"
    $perfctl_5 = "/tmp/.xdiag"
    $perfctl_6 = "AAZHDE"
    $rocke_1 = "khugepageds"
    $rocke_2 = "kerberods"
    $rocke_3 = "pastebin.com/raw"
    $watchdog_1 = "phpguard"
    $watchdog_2 = "sysguard"
    $watchdog_3 = "networkservice"
    $pwnrig = "pwnRig"
    $pool = "stratum+"
    $outlaw_1 = "tddwrt7s"
    $outlaw_2 = ".configrc"
    $outlaw_3 = "dota3.tar.gz"
  condition:
    uint32be(0) == 0x7f454c46 and (2 of ($perfctl_*) or all of ($rocke_*) or all of ($watchdog_*) or ($pwnrig and $pool) or 2 of ($outlaw_*))
}

rule redis_dump_with_cron_lines
{
  meta:
    author = "volforensic"
    description = "A dump of Redis with a line for cron that downloads: written through an open Redis into a crontab"
    severity = "critical"
    confidence = "high"
    attack = "T1190, T1053.003"
    reference = "https://redis.io/docs/latest/operate/oss_and_stack/management/security/"
    family = "redis-drop"
  strings:
    $line = /\* \* \* [^\n]{0,100}(curl|wget|wd1|cd1|\/dev\/tcp|python|base64)[^\n]{4,200}/
  condition:
    filesize < 64MB and uint32be(0) == 0x52454449 and $line
}

rule redis_dump_with_ssh_key
{
  meta:
    author = "volforensic"
    description = "A small dump of Redis with a public SSH key on a line of its own: written through an open Redis into authorized_keys"
    severity = "high"
    confidence = "medium"
    attack = "T1190, T1098.004"
    reference = "https://redis.io/docs/latest/operate/oss_and_stack/management/security/"
    family = "redis-drop"
  strings:
    $key = /\n\n?ssh-(rsa|ed25519|dss) AAAA[A-Za-z0-9+\/=]{40,800}[^\n]{0,80}\n/
  condition:
    filesize < 64KB and uint32be(0) == 0x52454449 and $key
}

rule script_runs_program_from_memory
{
  meta:
    author = "volforensic"
    description = "A script that puts a program into memory (memfd_create by its number or name) and starts it from /proc/self/fd"
    severity = "high"
    confidence = "high"
    attack = "T1620, T1105"
    reference = "https://man7.org/linux/man-pages/man2/memfd_create.2.html"
    family = "fileless"
  strings:
    $call_1 = /syscall\(\s{0,4}(319|279|356|385)\s{0,4},/
    $call_2 = /\.syscall\(\s{0,4}(319|279|356|385)/
    $call_3 = "memfd_create"
    $path_1 = "/proc/self/fd/"
    $path_2 = /\/proc\/(\$\$|\$\{?\w{1,8}\}?|%[ds]|"\s?\.\s?\$\$\s?\.\s?"|\{[\w.()]{0,20}\})\/fd\//
  condition:
    filesize < 8MB and uint16be(0) == 0x2321 and any of ($call_*) and any of ($path_*)
}

rule python_runs_download
{
  meta:
    author = "volforensic"
    description = "Python that runs what it downloads, unseen"
    severity = "medium"
    confidence = "medium"
    attack = "T1059.006, T1105"
    reference = "https://attack.mitre.org/techniques/T1059/006/"
    family = "downloader"
  strings:
    $1 = /exec\(\s{0,4}((urllib\.request|urllib2?|request)\.)?urlopen\(/
    $2 = /exec\(\s{0,4}(requests|httpx)\.(get|post)\([^\n]{4,300}\)\.(text|content)/
    $3 = /eval\(\s{0,4}(compile\(\s{0,4})?(urllib\.request\.|urllib2?\.)?urlopen\(/
  condition:
    filesize < 256KB and uint32be(0) != 0x7f454c46 and not names_signatures and any of them
}

rule process_name_of_kernel_thread
{
  meta:
    author = "volforensic"
    description = "A script that starts a program under the name of a kernel thread or with a bracketed name"
    severity = "high"
    confidence = "high"
    attack = "T1036.004"
    reference = "https://attack.mitre.org/techniques/T1036/004/"
    family = "masquerading"
  strings:
    $1 = /exec -a ["']?\[?(kworker|kthreadd|ksoftirqd|kswapd|migration|rcu_|watchdog|khugepaged|kblockd|md5|card0|kdevtmpfs|netns|mm_percpu|slub_flush|raid5wq|kcached|kstrp|ext4-rsv)/
    $2 = /\$0 {0,2}= {0,2}["']\[?(kworker|kthreadd|ksoftirqd|kswapd|migration|rcu_|watchdog\/|\/usr\/sbin\/(httpd|apache2|sshd|cron))/
    $3 = /setproctitle\(["'](\[|kworker|kthreadd|ksoftirqd|kswapd)/
  condition:
    filesize < 1MB and uint32be(0) != 0x7f454c46 and not names_signatures and any of them
}

rule compiled_shell_script
{
  meta:
    author = "volforensic"
    description = "A shell script that shc made a program of: what it does is encrypted in it"
    severity = "medium"
    confidence = "medium"
    attack = "T1027.002, T1059.004"
    reference = "https://github.com/neurobin/shc"
    family = "packed"
  strings:
    $1 = "neither argv[0] nor $_ works."
    $2 = "has expired!"
    $3 = "Please contact your provider"
    $4 = "abnormal behavior!"
  condition:
    uint32be(0) == 0x7f454c46 and filesize < 4MB and ($1 or 3 of them)
}

rule upx_stub_without_magic
{
  meta:
    author = "volforensic"
    description = "The unpacking code of UPX in a program without UPX's magic: the headers were wiped so that upx -d fails"
    severity = "high"
    confidence = "high"
    attack = "T1027.002"
    reference = "https://github.com/upx/upx/tree/devel/src/stub/src"
    family = "packed"
  strings:
    $magic = "UPX!"
    $text_1 = "PROT_EXEC|PROT_WRITE failed."
    $text_2 = "This file is packed with the UPX"
    $text_3 = "$Id: UPX "
    // amd64: the registers saved, the end of the input computed; then the NRV or the LZMA decompressor, as UPX 3 and 4 write them.
    $code_1 = { 53 51 52 48 01 FE 56 ( 48 89 FE 48 89 D7 | 41 80 F8 0E ) }
    $code_2 = { 48 C7 C3 00 FD FF FF 48 D3 E3 88 C1 48 8D 9C 5C }
    // i386: pusha; mov esi, edi from the stack; cld; or ebp, -1.
    $code_3 = { 60 8B 74 24 24 8B 7C 24 2C 83 CD FF }
  condition:
    uint32be(0) == 0x7f454c46 and filesize > 2KB and not upx_packed_elf and not upx_packed_elf_altered and
    #magic < 2 and (2 of ($text_*) or any of ($code_*) or ($text_1 and uint16(60) == 0))
}

rule elf_without_sections_packed
{
  meta:
    author = "volforensic"
    description = "A program without a section table with a segment that is filled only when it runs, and whose bytes look encrypted: packed"
    severity = "medium"
    confidence = "medium"
    attack = "T1027.002"
    reference = "https://refspecs.linuxfoundation.org/elf/gabi4+/ch5.pheader.html"
    family = "packed"
  condition:
    filesize > 16KB and filesize < 64MB and uint32be(0) == 0x7f454c46 and uint8(5) == 1 and
    (
      (uint8(4) == 2 and uint16(60) == 0 and uint16(56) < 6 and uint16(56) > 0 and uint32(64) == 1 and uint32(64 + 40) > 4 * uint32(64 + 32)) or
      (uint8(4) == 2 and uint16(60) == 0 and uint16(56) < 6 and uint16(56) > 1 and uint32(120) == 1 and uint32(120 + 40) > 4 * uint32(120 + 32)) or
      (uint8(4) == 2 and uint16(60) == 0 and uint16(56) < 6 and uint16(56) > 1 and uint32(120) == 1 and uint32(120 + 32) == 0) or
      (uint8(4) == 1 and uint16(48) == 0 and uint16(44) < 6 and uint16(44) > 1 and uint32(84) == 1 and uint32(84 + 16) == 0) or
      (uint8(4) == 1 and uint16(48) == 0 and uint16(44) < 6 and uint16(44) > 0 and uint32(52) == 1 and uint32(52 + 20) > 4 * uint32(52 + 16))
    ) and
    // Code and tables hold runs of zeros; of what is compressed or encrypted, none of 512 samples is four zero bytes.
    for all i in (0..255) : (uint32(4096 + i * 31) != 0 and uint32(8192 + i * 29) != 0)
}
