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
    confidence = "high"
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
    confidence = "high"
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
    confidence = "high"
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
    confidence = "high"
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
    confidence = "high"
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
    confidence = "high"
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
    confidence = "high"
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

rule randomx_elf
{
  meta:
    author = "volforensic"
    description = "A program that computes RandomX, Monero's proof of work, and is no node or wallet: a miner, also where no name is left in it"
    severity = "high"
    confidence = "medium"
    attack = "T1496.001"
    reference = "https://github.com/tevador/RandomX/blob/master/doc/specs.md"
    family = "randomx"
  strings:
    // The keys of AesGenerator1R and AesGenerator4R and the state of AesHash1R, in the byte order of the specification.
    $key_0 = { 53 A5 AC 6D 09 66 71 62 2B 55 B5 DB 17 49 F4 B4 }
    $key_1 = { 07 AF 7C 6D 0D 71 6A 84 78 D3 25 17 4E DC A1 0D }
    $key_2 = { F1 62 12 3F C6 7E 94 9F 4F 79 C0 F4 45 E3 20 3E }
    $key_3 = { 35 81 EF 6A 7C 31 BA B1 88 4C 31 16 54 91 16 49 }
    $state = { 0D 2C B5 92 DE 56 A8 9F 47 DB 82 CC AD 3A 98 D7 }
    $node_1 = "cryptonote"
    $node_2 = "/getblocks.bin"
    $node_3 = "wallet2.cpp"
    $node_4 = "p2pool"
    $library = "randomx_calculate_hash" fullword
    $speech_1 = "job_id"
    $speech_2 = "stratum+"
    $interpreter = "/ld-"
  condition:
    uint32be(0) == 0x7f454c46 and 3 of ($key_*, $state) and not any of ($node_*) and
    (uint16(16) == 2 or $interpreter in (0..4096) or any of ($speech_*) or not $library)
}

rule cryptonight_elf
{
  meta:
    author = "volforensic"
    description = "A program with the constants of two rare hash functions that CryptoNight and X11 have in common: a miner of its generation, or a node of its currencies"
    severity = "medium"
    confidence = "low"
    attack = "T1496.001"
    reference = "https://cryptonote.org/cns/cns008.txt"
    family = "cryptonight"
  strings:
    // The initial states of JH-256 and of Skein-512-256.
    $jh = { EB 98 A3 41 2C 20 D3 EB 92 CD BE 7B 9C B2 45 C1 }
    $skein = { 13 3E DB 2F A1 44 D0 CC EB A9 79 1A 30 90 35 E8 }
    $node_1 = "cryptonote"
    $node_2 = "/getblocks.bin"
    $node_3 = "wallet2.cpp"
    $node_4 = "tests/hash/main.cpp"
  condition:
    uint32be(0) == 0x7f454c46 and uint16(16) != 1 and $jh and $skein and not any of ($node_*)
}

rule xmrig_renamed_elf
{
  meta:
    author = "volforensic"
    description = "A build of XMRig whose name was taken out: its table of algorithms beside the answers of a pool"
    severity = "critical"
    confidence = "high"
    attack = "T1496.001, T1036.005"
    reference = "https://github.com/xmrig/xmrig/blob/master/src/base/crypto/Algorithm.cpp"
    family = "xmrig"
  strings:
    $algorithm_1 = "cn/fast"
    $algorithm_2 = "cn/double"
    $algorithm_3 = "cn-pico/tlo"
    $algorithm_4 = "cn-heavy/tube"
    $algorithm_5 = "cn-heavy/xhv"
    $algorithm_6 = "cn-lite/0"
    $algorithm_7 = "rx/graft"
    $algorithm_8 = "rx/keva"
    $algorithm_9 = "rx/wow"
    $algorithm_10 = "argon2/ninja"
    $algorithm_11 = "argon2/chukwav2"
    $algorithm_12 = "cn/half"
    $algorithm_13 = "cn/msr"
    $algorithm_14 = "cn/xao"
    $algorithm_15 = "cn/rto"
    $algorithm_16 = "cryptonight-monerov7"
    $algorithm_17 = "cryptonight-lite"
    $algorithm_18 = "cryptonight-heavy"
    $algorithm_19 = "cryptonight_r"
    $pool_1 = "job_id"
    $pool_2 = "keepalived"
    $pool_3 = "next_seed_hash"
    $pool_4 = "rig-id"
    $pool_5 = "nicehash"
    $pool_6 = "Low difficulty share"
    $pool_7 = "Unauthenticated"
  condition:
    uint32be(0) == 0x7f454c46 and 4 of ($algorithm_*) and 2 of ($pool_*)
}

rule xmrig_internals_elf
{
  meta:
    author = "volforensic"
    description = "A build of XMRig by what it says and by the symbols of its own code, where algorithm names and options were changed"
    severity = "critical"
    confidence = "high"
    attack = "T1496.001, T1036.005"
    reference = "https://github.com/xmrig/xmrig/tree/master/src"
    family = "xmrig"
  strings:
    $1 = "RandomX_ConfigurationMonero"
    $2 = "RandomX_ConfigurationWownero"
    $3 = "N5xmrig"
    $4 = "randomx-cache-qos"
    $5 = "wrmsr-presets"
    $6 = "msr kernel module is not available"
    $7 = "FAILED TO APPLY MSR MOD, HASHRATE WILL BE LOW"
    $8 = "/sbin/modprobe msr allow_writes=on"
    $9 = "hugepages-"
    $10 = "READY threads %s%zu/%zu"
    $11 = "no active pools, stop mining"
    $12 = "scratchpad_prefetch_mode"
    $13 = "speed 10s/60s/15m"
    $14 = "max-threads-hint"
    $15 = "cn_r_asm"
    $16 = "H/s max"
    $17 = "huge pages %s"
    $18 = "dev donate"
  condition:
    uint32be(0) == 0x7f454c46 and 4 of them
}

rule gpu_miner_options_elf
{
  meta:
    author = "volforensic"
    description = "A miner of many algorithms by the names of its algorithms and its words for shares and pools, whatever it is called"
    severity = "high"
    confidence = "medium"
    attack = "T1496.001"
    reference = "https://github.com/doktor83/SRBMiner-Multi"
    family = "gpu-miner"
    anchor = "$algorithm_*"
  strings:
    $algorithm_1 = "kawpow"
    $algorithm_2 = "autolykos2"
    $algorithm_3 = "etchash"
    $algorithm_4 = "progpow"
    $algorithm_5 = "octopus"
    $algorithm_6 = "firopow"
    $algorithm_7 = "verushash"
    $algorithm_8 = "ghostrider"
    $algorithm_9 = "yespower"
    $algorithm_10 = "beamhash"
    $algorithm_11 = "cuckatoo"
    $algorithm_12 = "equihash"
    $algorithm_13 = "astrobwt"
    $algorithm_14 = "x16rv2"
    $algorithm_15 = "kheavyhash"
    $algorithm_16 = "lyra2rev2"
    $share_1 = "mining.submit"
    $share_2 = "mining.authorize"
    $share_3 = "hashrate" nocase
    $share_4 = "stratum+"
    $share_5 = "stratum://"
    $share_6 = "ccepted share"
    $share_7 = "eth_submitLogin"
    $share_8 = "ejected share"
    $share_9 = "--worker"
  condition:
    uint32be(0) == 0x7f454c46 and 4 of ($algorithm_*) and 2 of ($share_*)
}

rule bitcoin_miner_elf
{
  meta:
    author = "volforensic"
    description = "cgminer, bfgminer, sgminer or a descendant: a miner that Debian and others have shipped, and that intruders bring along"
    severity = "high"
    confidence = "medium"
    attack = "T1496.001"
    reference = "https://github.com/ckolivas/cgminer"
    family = "bitcoin-miner"
  strings:
    $name_1 = "cgminer" fullword
    $name_2 = "bfgminer" fullword
    $name_3 = "sgminer" fullword
    $name_4 = "mkxminer"
    $1 = "mining.subscribe"
    $2 = "stratum+tcp://"
    $3 = "--failover-only"
    $4 = "Stratum connect failed"
    $5 = "longpoll"
    $6 = "Work Utility"
  condition:
    uint32be(0) == 0x7f454c46 and any of ($name_*) and 3 of ($1, $2, $3, $4, $5, $6)
}

rule miner_proxy_elf
{
  meta:
    author = "volforensic"
    description = "A proxy or side chain for miners (xmrig-proxy, p2pool): miners elsewhere work through this host"
    severity = "high"
    confidence = "medium"
    attack = "T1496.001, T1090"
    reference = "https://github.com/xmrig/xmrig-proxy"
    family = "miner-proxy"
  strings:
    $proxy_1 = "xmrig-proxy"
    $proxy_2 = "accept-algo"
    $proxy_3 = "custom-diff"
    $proxy_4 = "workers by"
    $p2pool_1 = "p2pool" fullword
    $p2pool_2 = "--stratum"
    $p2pool_3 = "side_chain"
    $p2pool_4 = "sidechain"
    $p2pool_5 = "get_miner_data"
  condition:
    uint32be(0) == 0x7f454c46 and (2 of ($proxy_*) or 4 of ($p2pool_*))
}

rule node_addon_of_cryptonight
{
  meta:
    author = "volforensic"
    description = "A library for Node or Python that computes the hashes of mining: a pool's own software, or a miner written in a script language"
    severity = "medium"
    confidence = "medium"
    attack = "T1496.001"
    reference = "https://www.npmjs.com/package/cryptonight-hashing"
    family = "cryptonight"
    anchor = "$hash_*"
  strings:
    $module_1 = "napi_register_module_v1"
    $module_2 = "node_register_module"
    $module_3 = "PyInit_"
    $module_4 = "_register_multihashing"
    $module_5 = "nan.h"
    $hash_1 = "cryptonight"
    $hash_2 = "cryptonight_light"
    $hash_3 = "randomx_calculate_hash"
    $hash_4 = "scryptjane"
    $hash_5 = "quark_hash"
    $hash_6 = "x11_hash"
    $hash_7 = "cn_slow_hash"
    $hash_8 = "jh_hash"
    $hash_9 = "xmr_slow_hash"
  condition:
    uint32be(0) == 0x7f454c46 and uint16(16) == 3 and any of ($module_*) and 2 of ($hash_*)
}
