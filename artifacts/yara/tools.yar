/*
  Tools that scan networks and guess passwords. They are tools and found as such (low): on a server that nobody tests with them
  they tell what an intruder did next.
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

rule network_scanner
{
  meta:
    author = "volforensic"
    description = "A program that scans networks (masscan, zmap, zgrab, pnscan, rustscan, naabu, hping)"
    severity = "low"
    confidence = "high"
    attack = "T1046"
    reference = "https://attack.mitre.org/techniques/T1046/"
    family = "scan-tool"
  strings:
    $masscan_1 = "masscan"
    $masscan_2 = "--rate"
    $masscan_3 = "--adapter-ip"
    $zmap_1 = "zmap: "
    $zmap_2 = "probe-module"
    $zmap_3 = "zmap" fullword
    $zgrab_1 = "github.com/zmap/zgrab"
    $pnscan_1 = "pnscan"
    $pnscan_2 = "-W<hex list>"
    $pnscan_3 = "Parallel Network Scanner" nocase
    $rustscan = "RustScan"
    $rustscan_2 = "rustscan::"
    $naabu = "github.com/projectdiscovery/"
  condition:
    uint32be(0) == 0x7f454c46 and (all of ($masscan_*) or all of ($zmap_2, $zmap_3) or $zmap_1 or $zgrab_1 or $pnscan_3 or ($pnscan_1 and $pnscan_2) or all of ($rustscan*) or $naabu)
}

rule scanner_with_exploits
{
  meta:
    author = "volforensic"
    description = "A scanner that also guesses passwords and uses exploits (fscan, kscan, Ladon, gogo, nuclei, Yasso): a tool of testers and intruders"
    severity = "medium"
    confidence = "high"
    attack = "T1046, T1110, T1210"
    reference = "https://github.com/shadow1ng/fscan"
    family = "scan-tool"
  strings:
    $1 = "github.com/shadow1ng/fscan"
    $2 = "github.com/lcvvvv/kscan"
    $3 = "github.com/chainreactors/gogo"
    $4 = "k8gege/Ladon"
    $5 = "github.com/sairson/Yasso"
    $6 = "github.com/projectdiscovery/nuclei"
    $7 = "github.com/zan8in/afrog"
    $8 = "github.com/chaitin/xray"
    $9 = "fscan/Plugins"
  condition:
    uint32be(0) == 0x7f454c46 and any of them
}

rule password_guesser
{
  meta:
    author = "volforensic"
    description = "A program that tries passwords over the network (hydra, medusa, ncrack, patator, brutespray, crowbar)"
    severity = "low"
    confidence = "high"
    attack = "T1110.001"
    reference = "https://attack.mitre.org/techniques/T1110/001/"
    family = "guessing-tool"
  strings:
    $hydra_1 = "hydra.restore"
    $hydra_2 = "Hydra v"
    $medusa_1 = "JoMo-Kun"
    $medusa_2 = "Medusa v"
    $ncrack = "ncrack" fullword
    $ncrack_2 = "http://ncrack.org"
    $thc = "van Hauser/THC"
  condition:
    uint32be(0) == 0x7f454c46 and ($hydra_1 or ($thc and $hydra_2) or all of ($medusa_*) or all of ($ncrack*))
}

rule ssh_password_guesser
{
  meta:
    author = "volforensic"
    description = "A program of no package's kind that logs in to hosts over SSH with lists of passwords and then runs commands there"
    severity = "high"
    confidence = "medium"
    attack = "T1110.001, T1021.004"
    reference = "https://attack.mitre.org/techniques/T1110/001/"
    family = "guessing-tool"
  strings:
    $ssh_1 = "libssh2_userauth_password"
    $ssh_2 = "ssh_userauth_password"
    $ssh_3 = "golang.org/x/crypto/ssh"
    $list_1 = "pass_file"
    $list_2 = "passfile"
    $list_3 = "vuln.txt"
    $list_4 = "bios.txt"
    $list_5 = "mfu.txt"
    $list_6 = "nasipaki"
    $list_7 = "rand0m_pass"
    $list_8 = "/tmp/pass"
    $list_9 = "found.ssh"
    $list_10 = "bruted"
    $list_11 = "main.bruteSSH"
    $list_12 = "main.sshBrute"
    $list_13 = "bruteforcer"
    $after_1 = "uname -a"
    $after_2 = "nproc"
    $after_3 = "/proc/cpuinfo"
    $after_4 = "cat /etc/issue"
    $after_5 = "curl "
    $after_6 = "wget "
  condition:
    uint32be(0) == 0x7f454c46 and filesize < 32MB and any of ($ssh_*) and any of ($list_*) and any of ($after_*)
}
