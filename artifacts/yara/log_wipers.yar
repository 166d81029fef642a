/*
  What takes traces away. Scripts that prepare images of machines empty logs as well, so a script is never above medium.
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

rule log_wiper_script
{
  meta:
    author = "volforensic"
    description = "A script that empties the logs of logins and of the system and the shell's history: intruders do so, and so does whoever makes an image of a machine"
    severity = "medium"
    confidence = "medium"
    attack = "T1070.002, T1070.003"
    reference = "https://attack.mitre.org/techniques/T1070/002/"
    family = "log-wiper"
  strings:
    $log_1 = /(>|rm -r?f[r]? |shred [^\n]{0,24}|truncate [^\n]{0,24}|cat \/dev\/null ?> ?|unlink )\s{0,2}["']?\/var\/log\/(wtmp|btmp|lastlog)/
    $log_2 = /(>|rm -r?f[r]? |shred [^\n]{0,24}|truncate [^\n]{0,24}|cat \/dev\/null ?> ?)\s{0,2}["']?\/var\/log\/(auth\.log|secure|syslog|messages|audit|maillog|cron|kern\.log|journal)/
    $log_3 = /(>|rm -r?f[r]? |shred [^\n]{0,24}|truncate [^\n]{0,24}|ln -s[f]? )\s{0,2}["']?(\/dev\/null )?(~|\/root|\$HOME|\/home\/[^\n\/]{1,24})\/\.(ba|z)?sh_history/
    $log_4 = /history -c/
    $log_5 = /(unset HISTFILE|HISTFILE=\/dev\/null|HISTSIZE=0)/
    $log_7 = /(>|rm -r?f[r]? )\s{0,2}["']?\/var\/run\/utmp/
  condition:
    filesize < 256KB and uint16be(0) == 0x2321 and $log_1 and $log_2 and any of ($log_3, $log_4, $log_5, $log_7)
}

rule log_wiper_elf
{
  meta:
    author = "volforensic"
    description = "A program that takes single entries out of the login databases"
    severity = "high"
    confidence = "medium"
    attack = "T1070.002"
    reference = "https://attack.mitre.org/techniques/T1070/002/"
    family = "log-wiper"
    anchor = "$1 $2 $3 $4 $5 $6 $7 $8 $9 $10 $11 $12 $13"
  strings:
    $file_1 = "wtmp"
    $file_2 = "utmp"
    $file_3 = "lastlog"
    $1 = "Zap!"
    $2 = "zap2"
    $3 = "logcleaner" nocase
    $4 = "vanish2"
    $5 = "0x333shadow"
    $6 = "wiped"
    $7 = "log cleaner" nocase
    $8 = "logtamper" nocase
    $9 = "entries removed"
    $10 = "Zapper"
    $11 = "cloak2"
    $12 = "clean_lastlog"
    $13 = "records removed"
  condition:
    uint32be(0) == 0x7f454c46 and filesize < 2MB and 2 of ($file_*) and any of ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
}
