/*
  Coin miners as programs (ELF). Weights, not verdicts: no rule above "high" fires on one string. Every rule begins
  with the ELF magic, so a file that only writes about miners (a rule, a block list, documentation) is not matched.
*/

rule xmrig_elf
{
  meta:
    author = "volforensic"
    description = "XMRig 2.x to 6.x or a fork of it, also renamed or stripped: pool client, algorithm names and options together"
    severity = "critical"
    attack = "T1496.001"
    reference = "https://xmrig.com/docs/miner/config"
    family = "xmrig"
  strings:
    $name_1 = "XMRig"
    $name_2 = "N5xmrig"
    $name_3 = "Usage: xmrig"
    $name_4 = "donate.v2.xmrig.com"
    $name_5 = "donate.ssl.xmrig.com"
    $name_6 = "fee.xmrig.com"
    $pool_1 = "stratum+tcp://"
    $pool_2 = "stratum+ssl://"
    $pool_3 = "\"method\":\"keepalived\""
    $pool_4 = "\"method\":\"login\""
    $algorithm_1 = "cryptonight-lite"
    $algorithm_2 = "cryptonight-heavy"
    $algorithm_3 = "cryptonight-pico"
    $algorithm_4 = "cryptonight/"
    $algorithm_5 = "cn-heavy/"
    $algorithm_6 = "cn-lite/"
    $algorithm_7 = "cn/half"
    $algorithm_8 = "rx/wow"
    $algorithm_9 = "rx/arq"
    $algorithm_10 = "argon2/chukwa"
    $algorithm_11 = "randomx/"
    $option_1 = "donate-level"
    $option_2 = "max-threads-hint"
    $option_3 = "cpu-affinity"
    $option_4 = "no-huge-pages"
    $option_5 = "nicehash"
    $option_6 = "rig-id"
    $option_7 = "retry-pause"
    $option_8 = "max-cpu-usage"
    $option_9 = "donate-over-proxy"
    $option_10 = "randomx-1gb-pages"
  condition:
    uint32be(0) == 0x7f454c46 and
    (
      (any of ($name_*) and any of ($pool_*) and 2 of ($algorithm_*)) or
      (2 of ($name_*) and any of ($pool_*) and 2 of ($option_*)) or
      (2 of ($pool_*) and 3 of ($algorithm_*) and 2 of ($option_*)) or
      (any of ($pool_*) and any of ($algorithm_*) and 4 of ($option_*)) or
      (4 of ($algorithm_*) and 3 of ($option_*))
    )
}

rule cpuminer_elf
{
  meta:
    author = "volforensic"
    description = "cpuminer (minerd) or one of its descendants: cpuminer-multi, cpuminer-opt, ccminer"
    severity = "critical"
    attack = "T1496.001"
    reference = "https://github.com/pooler/cpuminer"
    family = "cpuminer"
  strings:
    $1 = "User-Agent: cpuminer/"
    $2 = "Try `minerd --help'"
    $3 = "Stratum requested work restart"
    $4 = "Stratum authentication failed"
    $5 = "hash > target (false positive)"
    $6 = "miner threads started, using '"
    $7 = "Stratum notify: invalid Merkle branch"
    $8 = "Starting Stratum on %s"
    $9 = "%s khash/s"
    $10 = "stratum_recv_line failed"
    $11 = "json_rpc_call failed, terminating workio thread"
  condition:
    uint32be(0) == 0x7f454c46 and 2 of them
}

rule xmr_stak_elf
{
  meta:
    author = "volforensic"
    description = "xmr-stak, the CryptoNight miner for processors and graphics cards"
    severity = "critical"
    attack = "T1496.001"
    reference = "https://github.com/fireice-uk/xmr-stak"
    family = "xmr-stak"
  strings:
    $1 = "xmr-stak"
    $2 = "HASHRATE REPORT - "
    $3 = "Pool logged in."
    $4 = "Result accepted by the pool."
    $5 = "Fast-connecting to %s pool"
    $6 = "pool_address"
    $7 = "wallet_address"
    $8 = "cryptonight_monero"
    $9 = "giveup_limit"
  condition:
    uint32be(0) == 0x7f454c46 and 3 of them
}

rule gpu_miner_elf
{
  meta:
    author = "volforensic"
    description = "A miner for graphics cards or of several algorithms: ethminer, T-Rex, lolMiner, NBMiner, GMiner, TeamRedMiner, SRBMiner, nanominer, PhoenixMiner"
    severity = "critical"
    attack = "T1496.001"
    reference = "https://github.com/ethereum-mining/ethminer"
    family = "gpu-miner"
  strings:
    $name_1 = "ethminer"
    $name_2 = "T-Rex - NVIDIA GPU miner"
    $name_3 = "lolMiner"
    $name_4 = "NBMiner"
    $name_5 = "GMiner"
    $name_6 = "TeamRedMiner"
    $name_7 = "SRBMiner"
    $name_8 = "nanominer"
    $name_9 = "PhoenixMiner"
    $name_10 = "BzMiner"
    $name_11 = "ccminer"
    $protocol_1 = "stratum+tcp://"
    $protocol_2 = "stratum1+tcp"
    $protocol_3 = "eth_submitLogin"
    $protocol_4 = "EthereumStratum/"
    $protocol_5 = "mining.subscribe"
    $protocol_6 = "mining.authorize"
    $hash_1 = "kawpow" nocase
    $hash_2 = "etchash" nocase
    $hash_3 = "ethash" nocase
    $hash_4 = "autolykos" nocase
    $hash_5 = "--farm-recheck"
    $hash_6 = "hashrate" nocase
  condition:
    uint32be(0) == 0x7f454c46 and any of ($name_*) and any of ($protocol_*) and any of ($hash_*)
}

rule stratum_miner_elf
{
  meta:
    author = "volforensic"
    description = "A program of any language that speaks Stratum, the protocol between a miner and its pool"
    severity = "critical"
    attack = "T1496.001, T1071.001"
    reference = "https://en.bitcoin.it/wiki/Stratum_mining_protocol"
    family = "stratum"
  strings:
    $scheme_1 = "stratum+tcp://"
    $scheme_2 = "stratum+ssl://"
    $scheme_3 = "stratum+tls://"
    $scheme_4 = "stratum+udp://"
    $scheme_5 = "stratum2+tcp://"
    $method_1 = "mining.subscribe"
    $method_2 = "mining.authorize"
    $method_3 = "mining.submit"
    $method_4 = "mining.notify"
    $method_5 = "mining.set_difficulty"
    $method_6 = "eth_submitLogin"
    $method_7 = "\"keepalived\""
    $work_1 = "hashrate" nocase
    $work_2 = "hash/s" nocase
    $work_3 = "cryptonight" nocase
    $work_4 = "randomx" nocase
    $work_5 = "nicehash" nocase
    $work_6 = "donate-level"
    $work_7 = " H/s"
  condition:
    uint32be(0) == 0x7f454c46 and any of ($work_*) and
    ((any of ($scheme_*) and any of ($method_*)) or 3 of ($method_*) or (any of ($scheme_*) and 3 of ($work_*)))
}

rule pool_address_elf
{
  meta:
    author = "volforensic"
    description = "A program with the address of a mining pool in it"
    severity = "high"
    attack = "T1496.001"
    reference = "https://xmrig.com/docs/miner/config/pool"
    family = "pool"
  strings:
    $url = /stratum[12]?\+(tcp|ssl|tls|udp):\/\/[a-z0-9][a-z0-9.-]{2,100}:[0-9]{2,5}/
    $known = /[a-z0-9.-]{0,60}(supportxmr\.com|minexmr\.com|nanopool\.org|moneroocean\.stream|hashvault\.pro|c3pool\.(com|org)|2miners\.com|f2pool\.com|herominers\.com|xmrpool\.(eu|net|com)|monerohash\.com|miningocean\.org|minergate\.com|crypto-pool\.(fr|info)|dwarfpool\.com|nicehash\.com|unmineable\.com|zergpool\.com|rplant\.xyz|kryptex\.network):[0-9]{2,5}/
  condition:
    uint32be(0) == 0x7f454c46 and any of them
}

rule wallet_in_miner_elf
{
  meta:
    author = "volforensic"
    description = "A program that holds a Monero address beside words of mining: pool and wallet are built in"
    severity = "critical"
    attack = "T1496.001"
    reference = "https://docs.getmonero.org/public-address/standard-address/"
    family = "stratum"
  strings:
    $wallet = /[^1-9A-HJ-NP-Za-km-z][48][0-9AB][1-9A-HJ-NP-Za-km-z]{93}[^1-9A-HJ-NP-Za-km-z]/
    $1 = "stratum+"
    $2 = "donate-level"
    $3 = "mining.subscribe"
    $4 = "\"method\":\"login\""
    $5 = "xmrig" nocase
    $6 = "cpuminer"
  condition:
    uint32be(0) == 0x7f454c46 and $wallet and any of ($1, $2, $3, $4, $5, $6)
}
