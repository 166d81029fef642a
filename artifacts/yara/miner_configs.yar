/*
  What tells a miner where to work: configuration files, command lines in scripts, units and crontabs. Known by their
  keys and by the shape of their values, never by the file's name.
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

rule xmrig_config
{
  meta:
    author = "volforensic"
    description = "Configuration of XMRig (2.x or 6.x) or a fork: a pool, a user and the miner's own keys"
    severity = "critical"
    confidence = "high"
    attack = "T1496.001"
    reference = "https://xmrig.com/docs/miner/config"
    family = "xmrig"
  strings:
    $url = /"url"\s{0,16}:\s{0,16}"[A-Za-z0-9+.:\/_\[-][^"\s]{1,250}:[0-9]{1,5}"/
    $user = /"user"\s{0,16}:\s{0,16}"[^"\s]{1,300}"/
    $wallet = /"user"\s{0,16}:\s{0,16}"[48][0-9AB][1-9A-HJ-NP-Za-km-z]{93}/
    $stratum = /"url"\s{0,16}:\s{0,16}"stratum2?\+[a-z]{3}:\/\//
    $key_1 = /"donate-level"\s{0,16}:/
    $key_2 = /"rig-id"\s{0,16}:/
    $key_3 = /"nicehash"\s{0,16}:/
    $key_4 = /"keepalive"\s{0,16}:/
    $key_5 = /"randomx"\s{0,16}:/
    $key_6 = /"huge-pages"\s{0,16}:/
    $key_7 = /"max-threads-hint"\s{0,16}:/
    $key_8 = /"tls-fingerprint"\s{0,16}:/
    $key_9 = /"self-select"\s{0,16}:/
    $key_10 = /"print-time"\s{0,16}:/
    $key_11 = /"cpu-affinity"\s{0,16}:/
    $key_12 = /"max-cpu-usage"\s{0,16}:/
    $key_13 = /"retry-pause"\s{0,16}:/
    $key_14 = /"hw-aes"\s{0,16}:/
    $key_15 = /"coin"\s{0,16}:\s{0,16}"(monero|XMR|wownero|dero|sumokoin|arqma)"/ nocase
    $key_16 = /"algo"\s{0,16}:\s{0,16}"(cryptonight|cn|rx|randomx|argon2|gr|ghostrider|kawpow|astrobwt)[\/"-]/
    $key_17 = /"av"\s{0,16}:\s{0,16}[0-9]/
  condition:
    filesize < 1MB and uint32be(0) != 0x7f454c46 and
    (($url and $user and (2 of ($key_*) or $key_15 or $key_16)) or ($wallet and ($url or any of ($key_*))) or ($stratum and $user))
}

rule xmrig_config_without_pool
{
  meta:
    author = "volforensic"
    description = "Keys of an XMRig configuration without a pool: a template, or the pool is given elsewhere"
    severity = "medium"
    confidence = "medium"
    attack = "T1496.001"
    reference = "https://xmrig.com/docs/miner/config"
    family = "xmrig"
  strings:
    $1 = /"donate-level"\s{0,16}:\s{0,16}[0-9]/
    $2 = /"max-threads-hint"\s{0,16}:\s{0,16}[0-9n]/
    $3 = /"huge-pages-jit"\s{0,16}:\s{0,16}[ft]/
    $4 = /"donate-over-proxy"\s{0,16}:\s{0,16}[0-9]/
    $5 = /"scratchpad_prefetch_mode"\s{0,16}:\s{0,16}[0-9]/
    $6 = /"rig-id"\s{0,16}:\s{0,16}["n]/
    $7 = /"argon2-impl"\s{0,16}:\s{0,16}["n]/
    $8 = /"health-print-time"\s{0,16}:\s{0,16}[0-9]/
    $9 = /"max-cpu-usage"\s{0,16}:\s{0,16}[0-9]/
    $10 = /"cpu-affinity"\s{0,16}:\s{0,16}["n]/
  condition:
    filesize < 1MB and uint32be(0) != 0x7f454c46 and 4 of them and not xmrig_config
}

rule miner_pool_list
{
  meta:
    author = "volforensic"
    description = "A list of pools, each with an address, a user and a password, as XMRig and other miners read it"
    severity = "high"
    confidence = "medium"
    attack = "T1496.001"
    reference = "https://xmrig.com/docs/miner/config/pool"
    family = "miner"
  strings:
    $pools = /"pools"\s{0,16}:\s{0,16}\[\s{0,64}\{/
    $url = /"url"\s{0,16}:\s{0,16}"[A-Za-z0-9+.:\/_\[-][^"\s]{1,250}:[0-9]{1,5}"/
    $user = /"user"\s{0,16}:\s{0,16}"[^"\s]{1,300}"/
    $pass = /"pass"\s{0,16}:\s{0,16}"/
  condition:
    filesize < 1MB and uint32be(0) != 0x7f454c46 and $pools and $url and $user and $pass
}

rule xmr_stak_config
{
  meta:
    author = "volforensic"
    description = "Pool list of xmr-stak"
    severity = "critical"
    confidence = "high"
    attack = "T1496.001"
    reference = "https://github.com/fireice-uk/xmr-stak/blob/master/doc/usage.md"
    family = "xmr-stak"
  strings:
    $pool = /"pool_address"\s{0,16}:\s{0,16}"[^"\s]{3,250}:[0-9]{1,5}"/
    $wallet = /"wallet_address"\s{0,16}:\s{0,16}"[^"\s]{1,300}"/
  condition:
    filesize < 1MB and uint32be(0) != 0x7f454c46 and $pool and $wallet
}

rule miner_command_line
{
  meta:
    author = "volforensic"
    description = "A command line that starts a miner: a pool, a user and the miner's options together"
    severity = "critical"
    confidence = "high"
    attack = "T1496.001, T1059.004"
    reference = "https://xmrig.com/docs/miner/command-line-options"
    family = "miner"
  strings:
    $line = /(-o|--url)[= ]["']?([a-z]{3,8}[12]?(\+[a-z]{3})?:\/\/)?[a-z0-9_$\{][a-z0-9._$\{\}-]{2,80}:[0-9]{2,5}[^\n]{0,200} (-u|--user|-O)[= ]/ nocase
    $url = /stratum[12]?\+(tcp|ssl|tls|udp):\/\/[a-z0-9$]/ nocase
    $wallet = /[^1-9A-HJ-NP-Za-km-z][48][0-9AB][1-9A-HJ-NP-Za-km-z]{93}[^1-9A-HJ-NP-Za-km-z]/
    $list = /["'](-o|--url)["'],\s{0,8}["'][^"'\s]{4,100}:[0-9]{2,5}["'],\s{0,8}["'](-u|--user)["'],/
    $option_1 = /--donate-level(["'],)?[= ]{0,2}["']?[0-9]/
    $option_2 = /--cpu-max-threads-hint[= ][0-9$]/
    $option_3 = /--randomx-(1gb-pages|no-rdmsr|wrmsr|mode)[= \n]/
    $option_4 = /--coin[= ](monero|xmr|wownero|dero)/ nocase
    $option_5 = /(--algo|-a)[= ](rx\/|cn\/|cn-|randomx|cryptonight|ghostrider|gr |yescrypt|argon2\/|kawpow|ethash|scrypt)/
    $option_6 = /--rig-id[= ][A-Za-z0-9$"']/
    $option_7 = /--(max-cpu-usage|cpu-priority)[= ][0-9]/
    $option_8 = /--nicehash\s/
    $program = /(xmrig|XMRig|minerd|cpuminer|xmr-stak|ccminer|ethminer|nbminer|lol[Mm]iner|t-rex|SRBMiner(-MULTI)?|srbminer(-multi)?|nanominer)["']? (-|--)[a-z]/
  condition:
    filesize < 2MB and uint32be(0) != 0x7f454c46 and
    (
      (any of ($line, $list) and any of ($url, $wallet, $program, $option_*)) or
      ($url and (2 of ($option_*) or $wallet or $program)) or
      ($wallet and (2 of ($option_*) or $program))
    )
}

rule stratum_url_in_script
{
  meta:
    author = "volforensic"
    description = "A script that names a mining pool by its Stratum address"
    severity = "high"
    confidence = "high"
    attack = "T1496.001"
    reference = "https://en.bitcoin.it/wiki/Stratum_mining_protocol"
    family = "pool"
  strings:
    $url = /stratum[12]?\+(tcp|ssl|tls|udp):\/\/[a-z0-9$]/ nocase
  condition:
    filesize < 2MB and uint16be(0) == 0x2321 and $url
}

rule pool_domain_in_script
{
  meta:
    author = "volforensic"
    description = "A script that names the host and port of a known mining pool"
    severity = "high"
    confidence = "high"
    attack = "T1496.001"
    reference = "https://miningpoolstats.stream/monero"
    family = "pool"
  strings:
    $known = /(supportxmr\.com|minexmr\.com|nanopool\.org|moneroocean\.stream|hashvault\.pro|c3pool\.(com|org)|2miners\.com|f2pool\.com|herominers\.com|xmrpool\.(eu|net|com)|monerohash\.com|miningocean\.org|fastpool\.xyz|luckpool\.net|luckypool\.io|gntl\.co\.uk|monerpool\.org|minergate\.com|crypto-pool\.(fr|info)|dwarfpool\.com|nicehash\.com|unmineable\.com|zergpool\.com|zpool\.ca|rplant\.xyz|kryptex\.network|skypool\.org|woolypooly\.com|ethermine\.org|semipool\.com):[0-9$]/
  condition:
    filesize < 2MB and uint16be(0) == 0x2321 and $known
}

rule stratum_url_in_text
{
  meta:
    author = "volforensic"
    description = "A text that names a mining pool by its Stratum address; documentation does so too"
    severity = "low"
    confidence = "medium"
    attack = "T1496.001"
    reference = "https://en.bitcoin.it/wiki/Stratum_mining_protocol"
    family = "pool"
  strings:
    $url = /stratum[12]?\+(tcp|ssl|tls|udp):\/\/[a-z0-9][a-z0-9.-]{2,100}:[0-9]{2,5}/ nocase
  condition:
    filesize < 1MB and uint32be(0) != 0x7f454c46 and uint16be(0) != 0x2321 and $url
}

rule base64_miner_options
{
  meta:
    author = "volforensic"
    description = "Options or the pool address of a miner, hidden in base64"
    severity = "high"
    confidence = "high"
    attack = "T1027, T1496.001"
    reference = "https://attack.mitre.org/techniques/T1027/"
    family = "miner"
  strings:
    $1 = "stratum+tcp://" base64
    $2 = "stratum+ssl://" base64
    $3 = "stratum+udp://" base64
    $4 = "--donate-level" base64
    $5 = "\"donate-level\"" base64
    $6 = "--randomx-1gb-pages" base64
    $7 = "--cpu-max-threads-hint" base64
  condition:
    any of them
}

rule cpuminer_config
{
  meta:
    author = "volforensic"
    description = "Configuration of cpuminer or ccminer: a pool, a user and the name of a hash of mining"
    severity = "high"
    confidence = "high"
    attack = "T1496.001"
    reference = "https://github.com/pooler/cpuminer/blob/master/example-cfg.json"
    family = "cpuminer"
  strings:
    $url = /"url"\s{0,16}:\s{0,16}"[^"\s]{4,250}:[0-9]{2,5}/
    $user = /"user(pass)?"\s{0,16}:\s{0,16}"[^"\s]{1,300}"/
    $algorithm = /"algo(rithm)?"\s{0,16}:\s{0,16}"(scrypt|sha256d|yescrypt|yespower|lyra2|x1[1-7]|x16r|x21s|x25x|neoscrypt|quark|qubit|groestl|skein|blake|allium|argon2|m7m|minotaur|verus|power2b|cpupower|sugarchain|bitcore|phi|tribus|hmq1725|keccak|equihash|ethash|etchash|kawpow|autolykos|octopus|firopow|progpow)/ nocase
  condition:
    filesize < 1MB and uint32be(0) != 0x7f454c46 and not names_signatures and $algorithm and $url and $user
}

rule miner_pools_text
{
  meta:
    author = "volforensic"
    description = "A list of pools of PhoenixMiner or Claymore's miner (epools.txt), or the settings of lolMiner, nanominer or GMiner"
    severity = "high"
    confidence = "high"
    attack = "T1496.001"
    reference = "https://phoenixminer.info/documentation/"
    family = "gpu-miner"
  strings:
    $phoenix = /POOL:\s{0,4}[^\s,]{4,120}:[0-9]{2,5}\s{0,4},\s{0,4}WALLET:\s{0,4}[^\s,]{4,200}/
    $nano_1 = /[\r\n]wallet[ \t]{0,4}=[ \t]{0,4}\w{20,120}/
    $nano_2 = /[\r\n]pool[0-9][ \t]{0,4}=[ \t]{0,4}[^\s:]{4,120}:[0-9]{2,5}/
  condition:
    filesize < 256KB and uint32be(0) != 0x7f454c46 and not names_signatures and ($phoenix or ($nano_1 and $nano_2))
}

rule gpu_miner_command_line
{
  meta:
    author = "volforensic"
    description = "A command line of a miner that calls its options --pool and --wallet (SRBMiner, lolMiner, nanominer, GMiner, PhoenixMiner, Bminer)"
    severity = "critical"
    confidence = "high"
    attack = "T1496.001, T1059.004"
    reference = "https://github.com/doktor83/SRBMiner-Multi"
    family = "gpu-miner"
  strings:
    $1 = /--algo(rithm)?[= ][\w\/;,-]{2,40} [^\n]{0,120}--pool[= ]["']?[^\s"']{4,200}:[0-9]{2,5}["']? [^\n]{0,120}--(wallet|user)[= ]/ nocase
    $2 = /--pool[= ]["']?[^\s"']{4,200}:[0-9]{2,5}["']? [^\n]{0,160}--(wallet|user)[= ]["']?[\w.:+\/-]{20,200}/ nocase
    $3 = /-pool ["']?[^\s"']{4,200}:[0-9]{2,5}["']? [^\n]{0,120}-wal ["']?[\w.:+\/-]{8,200}/
    $4 = /--server[= ]["']?[^\s"']{4,200} [^\n]{0,60}--port[= ][0-9]{2,5} [^\n]{0,60}--user[= ]["']?[\w.:+\/-]{20,200}/
    $5 = /-uri ["']?(stratum|ethstratum|ethproxy|raven|cuckaroo|equihash|beam|zhash)[a-z0-9+]{0,16}:\/\/[^\s"']{8,200}@[\w.-]{4,120}:[0-9]{2,5}/
    $6 = /--(host|proxy)[= ][^\n]{0,160}--stratum [^\n]{0,80}--wallet[= ]["']?4[0-9AB]/
  condition:
    filesize < 1MB and uint32be(0) != 0x7f454c46 and not names_signatures and any of them
}

rule stratum_miner_in_script
{
  meta:
    author = "volforensic"
    description = "A program in a script language that speaks Stratum with a pool: a miner or a pool's own software"
    severity = "medium"
    confidence = "medium"
    attack = "T1496.001"
    reference = "https://en.bitcoin.it/wiki/Stratum_mining_protocol"
    family = "stratum"
  strings:
    $1 = "mining.subscribe"
    $2 = "mining.authorize"
    $3 = "mining.submit"
    $4 = "mining.notify"
    $login = /["']?method["']?\s{0,4}[:=]\s{0,4}["']login["']/
    $job_1 = "job_id"
    $job_2 = "keepalived"
    $code_1 = "socket.socket("
    $code_2 = "net.connect"
    $code_3 = "net.createServer"
    $code_4 = "WebSocket"
    $code_5 = "net.Socket"
    $code_6 = "import socket"
    $code_7 = "create_connection("
    $code_8 = "createConnection("
  condition:
    filesize < 2MB and uint32be(0) != 0x7f454c46 and not names_signatures and any of ($code_*) and
    (3 of ($1, $2, $3, $4) or ($login and all of ($job_*)))
}

rule web_miner_page
{
  meta:
    author = "volforensic"
    description = "A page or script that makes its visitors mine (Coinhive and what came after it)"
    severity = "medium"
    confidence = "medium"
    attack = "T1496.001, T1059.007"
    reference = "https://en.wikipedia.org/wiki/Coinhive"
    family = "web-miner"
  strings:
    $start_1 = /new (CoinHive|Client|CRLT|CoinImp|deepMiner|WMP|PerfektStart|CryptoLoot)\.(Anonymous|User|Token|Init)\(["']?[\w.$-]{1,120}/
    $start_2 = /(deepMiner|WMP)\.Init\(["']/
    $library = /<script[^>\n]{0,120}src=["']?(https?:)?\/\/[^"'>\s]{0,80}\/(coinhive|deepminer|cryptonight|webmr|crypta|monero-?miner|perfekt|hashing-client)[\w.-]{0,24}\.js/ nocase
    $run = /\.start\((CoinHive\.|["']|\))/
  condition:
    filesize < 2MB and uint32be(0) != 0x7f454c46 and not names_signatures and $run and ($library or any of ($start_*))
}
