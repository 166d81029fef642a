/*
  What hides a miner: libraries for /etc/ld.so.preload and kernel modules.
*/

rule preload_process_hider
{
  meta:
    author = "volforensic"
    description = "A library that replaces readdir and filters /proc: it hides processes when named in /etc/ld.so.preload"
    severity = "critical"
    attack = "T1014, T1574.006"
    reference = "https://github.com/gianlucaborello/libprocesshider"
    family = "libprocesshider"
  strings:
    $readdir = "readdir"
    $dlsym = "dlsym"
    $1 = "/proc/self/fd/%d"
    $2 = "/proc/%s/stat"
    $3 = "/proc/%s/cmdline"
    $4 = "%d (%[^)]s"
    $5 = "/proc/%s/comm"
    $interpreter = /\/lib[\/\w-]{0,40}\/ld-[\w.-]{1,40}\.so/
  condition:
    // A position-independent program has the same ELF type as a library; only the program names its loader up front.
    uint32be(0) == 0x7f454c46 and uint16(16) == 3 and filesize < 4MB and not $interpreter in (0..4096) and $readdir and $dlsym and 2 of ($1, $2, $3, $4, $5)
}

rule preload_rootkit
{
  meta:
    author = "volforensic"
    description = "A library that replaces functions of the C library and knows /etc/ld.so.preload: a userland rootkit"
    severity = "critical"
    attack = "T1014, T1574.006"
    reference = "https://attack.mitre.org/techniques/T1574/006/"
    family = "preload-rootkit"
  strings:
    $preload = "ld.so.preload"
    $dlsym = "dlsym"
    $hook_1 = "readdir64" fullword
    $hook_2 = "fopen64" fullword
    $hook_3 = "__lxstat64" fullword
    $hook_4 = "unlinkat" fullword
    $hook_5 = "pam_authenticate" fullword
    $hook_6 = "accept" fullword
    $hook_7 = "fdopendir" fullword
    $hook_8 = "execve" fullword
    $hook_9 = "__xstat64" fullword
    $hook_10 = "pcap_loop" fullword
    $hide_1 = "/proc/net/tcp"
    $hide_2 = "/proc/%s/"
    $hide_3 = "/proc/self/"
    $hide_4 = "HIDE"
    $hide_5 = "/proc/*/"
    $interpreter = /\/lib[\/\w-]{0,40}\/ld-[\w.-]{1,40}\.so/
  condition:
    uint32be(0) == 0x7f454c46 and uint16(16) == 3 and filesize < 4MB and not $interpreter in (0..4096) and
    $preload and $dlsym and 3 of ($hook_*) and any of ($hide_*)
}

rule kernel_rootkit_module
{
  meta:
    author = "volforensic"
    description = "A kernel module of the rootkits Diamorphine or Reptile, or one that replaces the system calls that list files and processes"
    severity = "critical"
    attack = "T1014, T1547.006"
    reference = "https://github.com/m0nad/Diamorphine"
    family = "kernel-rootkit"
  strings:
    $name_1 = "diamorphine"
    $name_2 = "m0nad"
    $name_3 = "reptile_"
    $name_4 = "khook_"
    $name_5 = "LKM rootkit"
    $table_1 = "sys_call_table"
    $table_2 = "kallsyms_lookup_name"
    $hook_1 = "__x64_sys_getdents64"
    $hook_2 = "__x64_sys_kill"
    $hook_3 = "hacked_getdents"
    $hook_4 = "hook_getdents64"
    $hook_5 = "orig_getdents"
    $hook_6 = "hacked_kill"
    $hook_7 = "tcp4_seq_show"
  condition:
    uint32be(0) == 0x7f454c46 and uint16(16) == 1 and filesize < 8MB and
    (2 of ($name_*) or (any of ($name_*) and any of ($table_*)) or (any of ($table_*) and 2 of ($hook_*)))
}

rule reptile_userland
{
  meta:
    author = "volforensic"
    description = "A program of the Reptile rootkit: its shell or the client of its packets"
    severity = "high"
    attack = "T1014, T1205"
    reference = "https://github.com/f0rb1dd3n/Reptile"
    family = "reptile"
  strings:
    $1 = "reptile_shell"
    $2 = "/reptile/"
    $3 = "reptile_cmd"
    $4 = "Reptile"
    $5 = "hax0r"
  condition:
    uint32be(0) == 0x7f454c46 and 2 of them
}
