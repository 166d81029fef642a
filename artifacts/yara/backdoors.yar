/*
  Web shells and reverse shells in their plainest forms.
*/

rule php_web_shell
{
  meta:
    author = "volforensic"
    description = "PHP that runs what the visitor sends"
    severity = "high"
    confidence = "high"
    attack = "T1505.003"
    reference = "https://attack.mitre.org/techniques/T1505/003/"
    family = "webshell"
  strings:
    $php = /<\?(php|=|\s)/ nocase
    $1 = /(eval|assert|system|passthru|shell_exec|popen|proc_open|pcntl_exec)\s{0,4}\(\s{0,4}@?(base64_decode\s{0,4}\(\s{0,4}|stripslashes\s{0,4}\(\s{0,4}|trim\s{0,4}\(\s{0,4})?\$_(GET|POST|REQUEST|COOKIE|SERVER)\s{0,4}\[/ nocase
    $2 = /eval\s{0,4}\(\s{0,4}(gzinflate|gzuncompress|str_rot13|strrev|gzdecode)\s{0,4}\(\s{0,4}(str_rot13\s{0,4}\(\s{0,4})?base64_decode\s{0,4}\(/ nocase
    $3 = /\$_(GET|POST|REQUEST|COOKIE)\s{0,4}\[[^\]\n]{1,40}\]\s{0,4}\(\s{0,4}\$_(GET|POST|REQUEST|COOKIE)/ nocase
    $call = /[^\w>:]\$\w{1,24}\s{0,4}\(\s{0,4}@?\$_(GET|POST|REQUEST|COOKIE)\s{0,4}\[/
    $split = /["'](sy|sys|syst|syste|ex|exe|ev|eva|pas|pass|passt|ass|asse|asser|she|shel|shell|pop|pope|proc|cre|crea|bas|base)["'] ?\. ?["'][a-z_0-9]{1,12}["']/
    $4 = /preg_replace\s{0,4}\(\s{0,4}["']\/[^\n]{1,20}\/e["'],\s{0,4}\$_(GET|POST|REQUEST)/ nocase
  condition:
    filesize < 4MB and uint32be(0) != 0x7f454c46 and $php in (0..1024) and
    (any of ($1, $2, $3, $4) or (filesize < 64KB and $call and $split))
}

rule jsp_web_shell
{
  meta:
    author = "volforensic"
    description = "A Java server page that runs what the visitor sends"
    severity = "high"
    confidence = "high"
    attack = "T1505.003"
    reference = "https://attack.mitre.org/techniques/T1505/003/"
    family = "webshell"
  strings:
    $page = "<%"
    $1 = /\.exec\s{0,4}\([^\n]{0,80}request\.getParameter\s{0,4}\(/
    $2 = /request\.getParameter\s{0,4}\([^\n]{1,80}\.exec\s{0,4}\(/
    $3 = /new\s{1,4}ProcessBuilder\s{0,4}\([^\n]{0,80}request\.getParameter/
  condition:
    filesize < 1MB and $page and any of ($1, $2, $3)
}

rule reverse_shell
{
  meta:
    author = "volforensic"
    description = "A shell that is connected to a remote host"
    severity = "high"
    confidence = "high"
    attack = "T1059.004"
    reference = "https://attack.mitre.org/techniques/T1059/004/"
    family = "reverse-shell"
  strings:
    $1 = /(ba)?sh -i\s{0,4}[>&0-9]{1,4}\s{0,4}\/dev\/(tcp|udp)\/[\w$.\{-]{2,100}\/[0-9$]/
    $2 = /exec [0-9]{1,3}<>\s{0,4}\/dev\/(tcp|udp)\/[\w$.\{\}-]{2,100}\/[0-9$][^\x00]{0,200}((ba|da|z|k)?sh( -i)?[^\n;|]{0,20}<& {0,2}[0-9$]|while read [^\n]{0,40}do ["']?(\$|eval))/
    $3 = /(nc|ncat|netcat)( -[a-z]{1,6}){0,4} -[a-z]{0,4}e \/bin\/(ba)?sh [\w$.-]{4,100} [0-9$]/
    $4 = /mkfifo [\/\w.-]{2,60}\s{0,2};[^\n]{0,80}\/bin\/(ba)?sh -i [^\n]{0,40}\| ?(nc|ncat|netcat|telnet|openssl) /
    $5 = /socket\.socket\([^\n]{0,400}dup2\([^\n]{0,200}(pty\.spawn|subprocess\.(call|Popen|run)|os\.system)\(["'\[]/
    $6 = /use Socket;[^\n]{0,400}open\(STDIN,["']>&S["']\)[^\n]{0,120}exec\(["']\/bin\/(ba)?sh -i/
    $7 = /fsockopen\(["'][^"'\n]{4,100}["'],\s{0,4}[0-9]{2,5}\)[^\n]{0,80}exec\(["']\/bin\/(ba)?sh/
    $8 = /socat [^\n]{0,60}exec:["']?(\/bin\/)?(ba)?sh[^\n]{0,60}tcp(4|-connect)?:[0-9]/ nocase
  condition:
    filesize < 1MB and uint32be(0) != 0x7f454c46 and any of them
}
