/*
  What collects keys, tokens and passwords. A program that reads one kind of credentials is a client; one that reads many and
  sends them away is a thief. Tools for tests and audits are said to be tools.
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

rule credentials_taken_and_sent
{
  meta:
    author = "volforensic"
    description = "A script that reads several kinds of keys and tokens and sends them away"
    severity = "high"
    confidence = "high"
    attack = "T1552.001, T1552.005, T1041"
    reference = "https://attack.mitre.org/techniques/T1552/001/"
    family = "credential-stealer"
  strings:
    $1 = ".aws/credentials"
    $2 = ".kube/config"
    $3 = ".docker/config.json"
    $4 = "gcloud/credentials.db"
    $5 = "application_default_credentials"
    $6 = "gcloud/access_tokens.db"
    $7 = ".git-credentials"
    $8 = "/id_rsa"
    $9 = ".azure/"
    $10 = ".s3cfg"
    $11 = ".passwd-s3fs"
    $12 = ".netrc"
    $13 = ".pgpass"
    $14 = "/id_ed25519"
    $15 = "security-credentials"
    $16 = "AWS_SECRET_ACCESS_KEY"
    $17 = ".npmrc"
    $18 = "/etc/shadow"
    $19 = "/var/run/secrets/kubernetes.io"
    $20 = ".bash_history"
    $21 = ".smbclient.conf"
    $22 = ".config/filezilla"
    $23 = ".pypirc"
    $24 = "wallet.dat"
    $25 = ".davfs2/secrets"
    $send_1 = /curl [^\n]{0,300}(-F ?["']?\w{0,20}=@|-d ?["']?@|--data(-binary|-raw|-urlencode)? ["']?@|-T |--upload-file|-X ?POST|--form |-F ["'])/
    $send_2 = /wget [^\n]{0,200}--(post-file|post-data|body-file)/
    $send_3 = /\| ?(nc|ncat|netcat) [\w$.\{\}-]{4,100} [0-9$]/
    $post = /(requests|httpx|session)\.post\(/
    $send_5 = /api\.telegram\.org|discord(app)?\.com\/api\/webhooks|transfer\.sh|webhook\.site|file\.io|0x0\.st|termbin\.com/
    $send_6 = />[ \t]?\/dev\/tcp\//
  condition:
    filesize < 512KB and uint32be(0) != 0x7f454c46 and not names_signatures and (any of ($send_*) or $post) and
    (5 of ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25) or (uint16be(0) == 0x2321 and any of ($send_*) and 3 of ($1, $2, $3, $4, $5, $6, $7, $8, $10, $11, $14, $15)))
}

rule metadata_credentials_sent
{
  meta:
    author = "volforensic"
    description = "A script that takes the machine's credentials from the cloud's metadata service and sends them to another host"
    severity = "high"
    confidence = "medium"
    attack = "T1552.005, T1041"
    reference = "https://attack.mitre.org/techniques/T1552/005/"
    family = "credential-stealer"
  strings:
    $take_1 = "169.254.169.254/latest/meta-data/iam"
    $take_2 = "169.254.170.2$AWS_CONTAINER"
    $take_3 = "computeMetadata/v1/instance/service-accounts"
    $take_4 = "169.254.169.254/metadata/identity"
    $take_5 = "100.100.100.200/latest/meta-data/ram"
    $send_1 = /curl [^\n]{0,200}(-F ?["']?\w{0,20}=@|-d ?["']?@|--data-binary ["']?@|-T |--upload-file)[^\n]{0,200}/
    $send_2 = /wget [^\n]{0,200}--(post-file|post-data)/
    $send_3 = /\| ?(nc|ncat|netcat) [\w$.\{\}-]{4,100} [0-9$]/
    $send_4 = /api\.telegram\.org|discord(app)?\.com\/api\/webhooks|transfer\.sh|webhook\.site|\.onion/
    $send_5 = />[ \t]?\/dev\/tcp\//
  condition:
    filesize < 256KB and uint16be(0) == 0x2321 and any of ($take_*) and any of ($send_*)
}

rule credential_thief_elf
{
  meta:
    author = "volforensic"
    description = "A program that names the places of many kinds of keys, tokens, wallets and password stores"
    severity = "high"
    confidence = "medium"
    attack = "T1552.001, T1555"
    reference = "https://attack.mitre.org/techniques/T1552/001/"
    family = "credential-stealer"
  strings:
    $1 = ".aws/credentials"
    $2 = ".kube/config"
    $3 = ".docker/config.json"
    $4 = "gcloud/credentials.db"
    $5 = "gcloud/access_tokens.db"
    $6 = ".git-credentials"
    $7 = ".ssh/id_rsa"
    $8 = "wallet.dat"
    $9 = ".s3cfg"
    $10 = ".netrc"
    $11 = ".pgpass"
    $12 = ".bash_history"
    $13 = "/etc/shadow"
    $14 = "filezilla/recentservers"
    $15 = "Login Data"
    $16 = "logins.json"
    $17 = ".mysql_history"
    $18 = ".npmrc"
    $19 = ".electrum"
    $20 = "/meta-data/iam/"
  condition:
    uint32be(0) == 0x7f454c46 and filesize < 64MB and 7 of them
}

rule mimipenguin
{
  meta:
    author = "volforensic"
    description = "mimipenguin, MimiPy or a script like them: takes passwords from the memory of the key ring, the display manager or sshd"
    severity = "high"
    confidence = "high"
    attack = "T1003.007"
    reference = "https://github.com/huntergregal/mimipenguin"
    family = "credential-stealer"
  strings:
    $1 = "mimipenguin" nocase
    $2 = "gnome-keyring-daemon"
    $3 = "lightdm"
    $4 = "_pammodutil_getpwnam"
    $5 = "libgck-1"
    $6 = "/etc/shadow"
    $8 = "gdm-password"
    $memory_1 = /\/proc\/[^\n]{0,24}\/(mem|maps)/
    $core = "gcore"
    $memory_3 = "/proc/%d/mem"
  condition:
    filesize < 8MB and not names_signatures and (any of ($memory_*) or $core) and (($1 and any of ($2, $3, $5)) or ($4 and $5) or (uint16be(0) == 0x2321 and $2 and $6 and any of ($3, $8) and $core))
}

rule privilege_enumeration_script
{
  meta:
    author = "volforensic"
    description = "A script that looks over a host for ways to root (linPEAS, LinEnum, linux-exploit-suggester, lse): a tool of testers and intruders"
    severity = "medium"
    confidence = "high"
    attack = "T1083, T1057, T1548"
    reference = "https://github.com/peass-ng/PEASS-ng"
    family = "enumeration-tool"
  strings:
    $name_1 = "linpeas" nocase
    $name_2 = "PEASS-ng"
    $name_3 = "LinEnum"
    $name_4 = "linux-exploit-suggester"
    $name_5 = "linux-smart-enumeration"
    $name_6 = "linuxprivchecker"
    $name_7 = "unix-privesc-check"
    $name_8 = "Linux Privilege Escalation"
    $look_1 = "-perm -4000"
    $look_2 = "/etc/shadow"
    $look_3 = "sudo -l"
    $look_4 = "getcap -r"
    $look_5 = "docker.sock"
    $look_6 = "uname -a"
    $look_7 = "/etc/crontab"
    $look_8 = "dirtycow"
    $look_9 = "CVE-2016-5195"
    $look_10 = ".ssh"
  condition:
    filesize < 4MB and uint16be(0) == 0x2321 and any of ($name_*) and 3 of ($look_*)
}

rule password_recovery_tool
{
  meta:
    author = "volforensic"
    description = "LaZagne, 3snake, pamspy or another program that takes stored or typed passwords: a tool of testers and intruders"
    severity = "medium"
    confidence = "high"
    attack = "T1555"
    reference = "https://github.com/AlessandroZ/LaZagne"
    family = "credential-tool"
  strings:
    $1 = "The LaZagne Project"
    $2 = "lazagne.config"
    $3 = "3snake"
    $4 = "pamspy"
    $5 = "swap_digger"
    $6 = "truffleproc"
    $code_1 = "softwares"
    $code_2 = "ptrace"
    $code_3 = "pam_get_authtok"
    $code_4 = "strings"
  condition:
    filesize < 32MB and not names_signatures and (uint16be(0) == 0x2321 or uint32be(0) == 0x7f454c46) and (($1 and $2) or ($2 and $code_1) or ($3 and $code_2) or ($4 and $code_3) or ($5 and $code_4) or ($6 and $code_4))
}
