/*
  Tunnels and remote control. Most tunnels are tools that administrators use as well: their rules are low and name the program,
  so that the examiner asks who put it there. What only intruders and testers use is graded higher.
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

rule tunnel_program
{
  meta:
    author = "volforensic"
    description = "A program that makes tunnels (frp, chisel, ngrok, gost, cloudflared, bore, rathole, nps, wstunnel): used by administrators and by intruders"
    severity = "low"
    confidence = "high"
    attack = "T1572, T1090"
    reference = "https://attack.mitre.org/techniques/T1572/"
    family = "tunnel-tool"
  strings:
    $frp = "github.com/fatedier/frp/"
    $chisel = "path\tgithub.com/jpillora/chisel"
    $chisel_2 = "github.com/jpillora/chisel/client.(*Client)"
    $ngrok = "go.ngrok.com/cmd/ngrok"
    $ngrok_2 = "ngrok/cmd/ngrok"
    $ngrok_3 = "tunnel.us.ngrok.com"
    $gost = "github.com/go-gost/gost"
    $gost_2 = "github.com/ginuerzh/gost"
    $cloudflared = "path\tgithub.com/cloudflare/cloudflared"
    $cloudflared_2 = "github.com/cloudflare/cloudflared/cmd/cloudflared"
    $nps = "ehang.io/nps/"
    $rathole = "rathole::"
    $bore = "bore_cli::"
    $wstunnel = "wstunnel::"
    $zrok = "github.com/openziti/zrok"
    $localxpose = "github.com/localxpose"
    $tailscale = "path\ttailscale.com/cmd/"
    $dnstt = "dnstt-client"
  condition:
    uint32be(0) == 0x7f454c46 and any of them
}

rule intruders_tunnel_program
{
  meta:
    author = "volforensic"
    description = "A tunnel or relay made for penetration tests (EarthWorm, ligolo, iox, Stowaway, Neo-reGeorg, reverse_ssh, dnscat2, pwnat, rsocx, Venom)"
    severity = "medium"
    confidence = "high"
    attack = "T1572, T1090.001"
    reference = "https://attack.mitre.org/techniques/T1090/001/"
    family = "tunnel-tool"
  strings:
    $earthworm_1 = "rcsocks"
    $earthworm_2 = "ssocksd"
    $earthworm_3 = "lcx_listen"
    $earthworm_4 = "lcx_slave"
    $earthworm_5 = "lcx_tran"
    $ligolo_1 = "github.com/nicocha30/ligolo-ng"
    $ligolo_2 = "github.com/sysdream/ligolo"
    $iox = "/iox/option."
    $iox_2 = "iox/operate"
    $stowaway_2 = "Stowaway/agent"
    $reverse_ssh = "github.com/NHAS/reverse_ssh"
    $reverse_ssh_2 = "github.com/Fahrj/reverse-ssh"
    $dnscat_1 = "dnscat2"
    $dnscat_2 = "command_packet_"
    $venom = "github.com/Dliv3/Venom"
    $resocks = "github.com/RedTeamPentesting/resocks"
    $revsocks = "github.com/kost/revsocks"
    $pingtunnel = "github.com/esrrhs/pingtunnel"
  condition:
    uint32be(0) == 0x7f454c46 and (2 of ($earthworm_*) or any of ($ligolo_*, $reverse_ssh, $reverse_ssh_2, $venom, $resocks, $revsocks, $pingtunnel) or all of ($iox*) or $stowaway_2 or all of ($dnscat_*))
}

rule global_socket
{
  meta:
    author = "volforensic"
    description = "gs-netcat or another program of Global Socket: a shell through a relay, past every firewall"
    severity = "medium"
    confidence = "high"
    attack = "T1572, T1059.004"
    reference = "https://www.gsocket.io/"
    family = "gsocket"
  strings:
    $1 = "gs-netcat"
    $2 = "GSOCKET_ARGS"
    $3 = "GSOCKET_SECRET"
    $4 = "gsocket.io"
    $5 = "gs.thc.org"
    $6 = "GSRN"
  condition:
    uint32be(0) == 0x7f454c46 and 2 of them
}

rule global_socket_deployed
{
  meta:
    author = "volforensic"
    description = "A script or start-up line that installs or starts Global Socket in the background"
    severity = "high"
    confidence = "high"
    attack = "T1572, T1059.004, T1036.004"
    reference = "https://www.gsocket.io/deploy/"
    family = "gsocket"
  strings:
    $1 = /(curl|wget) [^\n]{0,80}gsocket\.io\/(y|x|install)/
    $2 = /(^|\W)GS(OCKET)?_ARGS=["'](-[a-zA-Z]{1,6} ?[\w\/.-]{0,40} ?){1,4}["']/
    $3 = /gs-netcat [^\n]{0,80}-[a-z]{0,6}(l|i)[a-z]{0,6}/
    $4 = /exec -a ["']?[^\n"']{1,40}["']? [^\n]{0,60}(gs-dbus|gs-netcat|defunct)/
    $5 = "defunct.dat"
    $6 = /SEED PRNG/
  condition:
    filesize < 1MB and uint32be(0) != 0x7f454c46 and not names_signatures and ($1 or $2 or ($3 and uint16be(0) == 0x2321) or $4 or ($5 and $6))
}

rule command_and_control_agent
{
  meta:
    author = "volforensic"
    description = "An agent of a framework for remote control (Sliver, Merlin, Mythic, Havoc, Pupy, Meterpreter, CrossC2, Chaos, SparkRAT, Supershell)"
    severity = "critical"
    confidence = "high"
    attack = "T1071, T1105"
    reference = "https://attack.mitre.org/techniques/T1071/"
    family = "c2"
  strings:
    $sliver_1 = "github.com/bishopfox/sliver/implant"
    $sliver_2 = "sliverpb."
    $sliver_3 = "github.com/bishopfox/sliver/protobuf"
    $merlin_1 = "github.com/Ne0nd0g/merlin-agent"
    $merlin_2 = "github.com/Ne0nd0g/merlin/pkg/agent"
    $mythic_1 = "github.com/MythicAgents/"
    $mythic_2 = "poseidon/Payload_Type"
    $mettle_1 = "mettle" fullword
    $mettle_2 = "stdapi_"
    $mettle_3 = "core_channel_"
    $mettle_4 = "tlv_packet"
    $pupy_1 = "pupyimporter"
    $pupy_2 = "pupy://"
    $cross_1 = "CrossC2"
    $cross_2 = "geacon"
    $cross_3 = "beacon.x64"
    $chaos_1 = "github.com/tiagorlampert/CHAOS"
    $spark_1 = "Spark/client/"
    $havoc_1 = "demon.x64"
    $nimplant = "NimPlant"
    $vshell_1 = "vshell/"
    $vshell_2 = "qwe123qwe"
    $empire = "github.com/BC-SECURITY"
    $deimos = "DeimosC2"
    $adaptix = "AdaptixC2"
  condition:
    uint32be(0) == 0x7f454c46 and (any of ($sliver_1, $sliver_3, $merlin_*, $mythic_*, $chaos_1, $deimos, $adaptix, $nimplant) or (#sliver_2 > 3) or
      ($mettle_1 and 2 of ($mettle_2, $mettle_3, $mettle_4)) or all of ($pupy_*) or ($cross_1 and $cross_3) or ($cross_2 and $cross_3) or #spark_1 > 2 or all of ($vshell_*) or ($havoc_1 and $empire))
}

rule tiny_shell_and_relatives
{
  meta:
    author = "volforensic"
    description = "Tiny SHell, Rekoobe, BPFDoor, Prism or another quiet backdoor for Linux servers, by their words"
    severity = "high"
    confidence = "medium"
    attack = "T1205, T1059.004"
    reference = "https://github.com/creaktive/tsh"
    family = "tiny-shell"
  strings:
    $tsh_1 = "s:p:c::"
    $tsh_2 = "TERM=%s"
    $tsh_3 = "exec bash --login"
    $tsh_4 = "never say never say die"
    $bpfdoor_1 = "/var/run/haldrund.pid"
    $bpfdoor_2 = "hald-addon-acpi: listening on acpi kernel interface"
    $bpfdoor_3 = "/dev/shm/kdmtmpflush"
    $bpfdoor_4 = "ttcompat"
    $bpfdoor_5 = "/bin/rm -f /dev/shm/"
    $bpfdoor_6 = "/usr/libexec/hald-addon"
    $prism_1 = "I'm not root :("
    $prism_2 = "HISTFILE=/dev/null"
    $prism_3 = "Yes boss. You are in!!!"
    $rekoobe = "0p3nSSH"
    $shell = "/bin/sh"
  condition:
    uint32be(0) == 0x7f454c46 and filesize < 4MB and ($tsh_4 or ($tsh_1 and $tsh_2 and $tsh_3) or 2 of ($bpfdoor_*) or ($prism_3) or ($prism_1 and $prism_2) or ($rekoobe and $shell))
}

rule tunnel_settings
{
  meta:
    author = "volforensic"
    description = "Settings of frp, ngrok or cloudflared that open this host to the outside: used by administrators and by intruders"
    severity = "low"
    confidence = "medium"
    attack = "T1572"
    reference = "https://github.com/fatedier/frp"
    family = "tunnel-tool"
  strings:
    $frp_1 = /[\r\n]server_?[aA]ddr\s{0,4}=\s{0,4}["']?[\w.-]{4,120}/
    $frp_2 = /[\r\n](remote_port|remotePort)\s{0,4}=\s{0,4}[0-9]{1,5}/
    $ngrok = /authtoken:\s{0,4}["']?[A-Za-z0-9_]{40,60}/
    $cloudflared = /cloudflared [^\n]{0,80}--token[= ][A-Za-z0-9+\/=_-]{40,400}/
    $plugin = /plugin\s{0,4}=\s{0,4}["']?(socks5|http_proxy)/
  condition:
    filesize < 64KB and uint32be(0) != 0x7f454c46 and not names_signatures and (all of ($frp_*) or $ngrok or $cloudflared or ($plugin and $frp_2))
}

rule reverse_ssh_tunnel
{
  meta:
    author = "volforensic"
    description = "A start-up line or script that opens a port of this host on another one with ssh -R: used by administrators and by intruders"
    severity = "low"
    confidence = "medium"
    attack = "T1572, T1021.004"
    reference = "https://man7.org/linux/man-pages/man1/ssh.1.html"
    family = "tunnel-tool"
  strings:
    $1 = /(autossh|ssh) [^\n]{0,160}-[a-zA-Z]{0,5}R ?(\*:|[\w.-]{1,60}:)?[0-9]{2,5}:(localhost|127\.0\.0\.1|0\.0\.0\.0):[0-9]{2,5}/
  condition:
    filesize < 64KB and uint32be(0) != 0x7f454c46 and not names_signatures and $1 and (uint16be(0) == 0x2321 or filesize < 4KB)
}
