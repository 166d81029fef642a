/*
  What hides a miner: libraries for /etc/ld.so.preload and kernel modules.
*/

rule preload_process_hider
{
  meta:
    author = "volforensic"
    description = "A library that replaces readdir and filters /proc: it hides processes when named in /etc/ld.so.preload"
    severity = "critical"
    confidence = "high"
    attack = "T1014, T1574.006"
    reference = "https://github.com/gianlucaborello/libprocesshider"
    family = "libprocesshider"
    anchor = "$2 $3 $4 $5"
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
    confidence = "high"
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
    confidence = "high"
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
    confidence = "high"
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

rule kernel_module_of_a_known_name
{
  meta:
    author = "volforensic"
    description = "A kernel module with the function names of a published rootkit (Diamorphine, Reptile, Suterusu, adore-ng, Singularity, KoviD and others)"
    severity = "critical"
    confidence = "high"
    attack = "T1014, T1547.006"
    reference = "https://github.com/m0nad/Diamorphine"
    family = "kernel-rootkit"
    anchor = "$1 $2 $3 $4 $5 $6 $7 $8 $9 $10 $11 $12 $13 $14 $15 $16 $17 $18 $19 $20 $21 $22 $23 $24 $25 $26 $27 $28 $29 $30 $31 $32 $33 $34 $35 $36 $37 $38"
  strings:
    $module = "vermagic="
    $1 = "diamorphine"
    $2 = "suterusu"
    $3 = "adore" fullword
    $4 = "reptile"
    $5 = "singularity" fullword
    $6 = "kovid"
    $7 = "hide_pid"
    $8 = "unhide_pid"
    $9 = "hide_proc"
    $10 = "hide_module"
    $11 = "module_hide"
    $12 = "module_show"
    $13 = "hide_file"
    $14 = "hide_port"
    $15 = "give_root"
    $16 = "get_root"
    $17 = "set_root" fullword
    $18 = "is_invisible"
    $19 = "hidden_pid"
    $20 = "hidden_port"
    $21 = "magic_packet"
    $22 = "hacked_"
    $23 = "hook_getdents"
    $24 = "hooked_getdents"
    $25 = "orig_getdents"
    $26 = "orig_kill"
    $27 = "hook_kill"
    $28 = "hijack_start"
    $29 = "find_syscall_table"
    $30 = "get_syscall_table"
    $31 = "fh_install_hook"
    $32 = "hook_tcp4_seq_show"
    $33 = "hooked_tcp4_seq_show"
    $34 = "backdoor"
    $35 = "rootkit"
    $36 = "protect_memory"
    $37 = "unprotect_memory"
    $38 = "keylogger"
  condition:
    uint32be(0) == 0x7f454c46 and uint16(16) == 1 and filesize < 8MB and $module and 3 of ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33, $34, $35, $36, $37, $38)
}

rule kernel_module_hooks_system_calls
{
  meta:
    author = "volforensic"
    description = "A kernel module that looks up and replaces the functions behind system calls or /proc: it hides processes, files or connections"
    severity = "critical"
    confidence = "high"
    attack = "T1014, T1547.006"
    reference = "https://docs.kernel.org/trace/ftrace-uses.html"
    family = "kernel-rootkit"
    anchor = "$way_*"
  strings:
    $module = "vermagic="
    $way_1 = "sys_call_table"
    $way_2 = "kallsyms_lookup_name"
    $way_3 = "ftrace_set_filter_ip"
    $way_4 = "register_kprobe"
    $way_5 = "register_kretprobe"
    $target_1 = "sys_getdents"
    $target_2 = "__x64_sys_kill"
    $target_3 = "__x64_sys_getdents64"
    $target_4 = "__x64_sys_getdents" fullword
    $target_5 = "__x64_sys_openat" fullword
    $target_6 = "__x64_sys_execve" fullword
    $target_7 = "__x64_sys_read" fullword
    $target_8 = "__x64_sys_finit_module"
    $target_9 = "__x64_sys_init_module"
    $target_10 = "__x64_sys_bpf"
    $target_11 = "__arm64_sys_kill"
    $target_12 = "__arm64_sys_getdents64"
    $target_13 = "tcp4_seq_show"
    $target_14 = "tcp6_seq_show"
    $target_15 = "udp4_seq_show"
    $target_16 = "filldir64"
    $target_17 = "proc_root_readdir"
    $target_18 = "tpacket_rcv"
    $target_19 = "packet_rcv"
    $target_20 = "__ia32_sys_kill"
    $target_21 = "__x64_sys_unlinkat"
    $target_22 = "sched_debug_show"
    $target_23 = "__x64_sys_getpid"
    $target_24 = "do_sysinfo"
  condition:
    uint32be(0) == 0x7f454c46 and uint16(16) == 1 and filesize < 8MB and $module and any of ($way_*) and 2 of ($target_*)
}

rule kernel_module_gives_root
{
  meta:
    author = "volforensic"
    description = "A kernel module that changes credentials and looks up hidden functions or hooks a system call: a door to root"
    severity = "high"
    confidence = "medium"
    attack = "T1014, T1068"
    reference = "https://docs.kernel.org/security/credentials.html"
    family = "kernel-rootkit"
  strings:
    $module = "vermagic="
    $root_1 = "prepare_creds" fullword
    $root_2 = "commit_creds" fullword
    $root_3 = "prepare_kernel_cred" fullword
    $way_1 = "sys_call_table"
    $way_2 = "kallsyms_lookup_name"
    $way_3 = "ftrace_set_filter_ip"
    $way_4 = "__x64_sys_kill"
    $way_5 = "register_kprobe" fullword
    $way_6 = "proc_create" fullword
    $hide_1 = "call_usermodehelper" fullword
    $hide_2 = "/bin/sh"
    $hide_3 = "/bin/bash"
  condition:
    uint32be(0) == 0x7f454c46 and uint16(16) == 1 and filesize < 8MB and $module and $root_2 and any of ($root_1, $root_3) and (any of ($way_1, $way_2, $way_3, $way_4) or ($way_5 and any of ($hide_*)) or ($way_6 and any of ($hide_2, $hide_3)))
}

rule kernel_module_starts_shell
{
  meta:
    author = "volforensic"
    description = "A kernel module that starts a shell or a connection to another host in user space"
    severity = "high"
    confidence = "medium"
    attack = "T1014, T1059.004"
    reference = "https://attack.mitre.org/techniques/T1547/006/"
    family = "kernel-rootkit"
  strings:
    $module = "vermagic="
    $call_1 = "call_usermodehelper"
    $shell_1 = "/bin/bash"
    $shell_2 = "/bin/sh"
    $net_1 = "/dev/tcp/"
    $net_2 = " -i >& "
    $net_3 = "nc -e"
    $net_4 = "socat "
    $net_5 = "exec -a"
    $net_6 = "curl "
    $net_7 = "wget "
  condition:
    uint32be(0) == 0x7f454c46 and uint16(16) == 1 and filesize < 8MB and $module and $call_1 and any of ($shell_*) and any of ($net_*)
}

rule ebpf_hides_or_steals
{
  meta:
    author = "volforensic"
    description = "An eBPF program, or a program with one in it, that watches directory listings or logins and writes into other programs' memory"
    severity = "high"
    confidence = "medium"
    attack = "T1014, T1056"
    reference = "https://man7.org/linux/man-pages/man7/bpf-helpers.7.html"
    family = "ebpf-rootkit"
  strings:
    $directory_1 = "sys_exit_getdents64"
    $directory_2 = "sys_enter_getdents64"
    $pam = "pam_get_authtok"
    $hook_1 = "sys_exit_read"
    $hook_2 = "sys_enter_execve"
    $hook_3 = "sys_enter_kill"
    $elf_loader_1 = "bpf_object__open_skeleton"
    $elf_loader_2 = "bpf_program__attach"
    $elf_loader_3 = "github.com/cilium/ebpf"
    $uprobe = "uprobe"
    $license = "Dual BSD/GPL"
    $license_2 = "GPL" fullword
    $map = ".maps"
  condition:
    uint32be(0) == 0x7f454c46 and filesize < 64MB and
    ((uint16(18) == 247 and any of ($license*) and $map and (all of ($directory_*) or $pam or ($directory_1 and any of ($hook_*)))) or
      (uint16(18) != 247 and uint16(16) != 1 and any of ($elf_loader_*) and $map and ((all of ($directory_*) and $license) or ($pam and $uprobe and $license))))
}

rule preload_hooks_of_logins_and_files
{
  meta:
    author = "volforensic"
    description = "A library that replaces functions for files together with those for logins or connections: Jynx, Azazel, bedevil, Father, Medusa and the like"
    severity = "critical"
    confidence = "medium"
    attack = "T1014, T1574.006, T1556.003"
    reference = "https://github.com/chokepoint/azazel"
    family = "preload-rootkit"
    anchor = "$login_*"
  strings:
    $next = "dlsym" fullword
    $file_1 = "readdir" fullword
    $file_2 = "readdir64" fullword
    $file_3 = "fopen" fullword
    $file_4 = "fopen64" fullword
    $file_5 = "__lxstat" fullword
    $file_6 = "__xstat" fullword
    $file_7 = "unlinkat" fullword
    $file_8 = "opendir" fullword
    $file_9 = "lstat" fullword
    $login_1 = "pam_authenticate" fullword
    $login_2 = "pam_open_session" fullword
    $login_3 = "pam_acct_mgmt" fullword
    $login_4 = "pcap_loop" fullword
    $login_6 = "accept" fullword
    $login_7 = "pam_vprompt" fullword
    $login_8 = "pam_get_item" fullword
    $hide_1 = "/proc/net/tcp"
    $hide_2 = "ld.so.preload"
    $hide_3 = "/bin/bash"
    $hide_4 = "/bin/sh"
    $hide_5 = "/proc/self/fd/%d"
    $hide_6 = "/proc/%s"
    $hide_7 = "HISTFILE"
    $interpreter = "/ld-linux"
    $module_1 = "pam_sm_authenticate"
    $module_2 = "Py_"
    $module_3 = "_nss_"
  condition:
    uint32be(0) == 0x7f454c46 and uint16(16) == 3 and filesize < 1MB and not $interpreter in (0..4096) and not any of ($module_*) and
    $next and 3 of ($file_*) and any of ($login_*) and 2 of ($hide_*)
}

rule preload_rootkit_of_a_known_name
{
  meta:
    author = "volforensic"
    description = "A library with the words of a published preload rootkit (Jynx2, Azazel, bedevil, BEURK, vlany, Medusa, Symbiote, OrBit)"
    severity = "critical"
    confidence = "high"
    attack = "T1014, T1574.006"
    reference = "https://github.com/ldpreload/Medusa"
    family = "preload-rootkit"
    anchor = "$1 $2 $3 $4 $5 $6 $7 $8 $9 $10 $11 $12 $13 $14 $15 $16 $17 $18 $19 $20 $21 $22 $23 $24"
  strings:
    $next = "dlsym" fullword
    $1 = "libselinux.so.0jynx"
    $2 = "XxJynx"
    $3 = "BEURK_"
    $4 = "beurk" fullword
    $5 = "clean_utmp" fullword
    $6 = "clean_wtmp" fullword
    $7 = "hide_self"
    $8 = "bdvinstall"
    $9 = "bdvl" fullword
    $10 = "vlany"
    $11 = "is_hidden_port"
    $12 = "hidden_xattr"
    $13 = "drop_dupshell"
    $14 = "is_invisible"
    $15 = "forge_procnet"
    $16 = "hide_shell"
    $17 = "HIDE_THIS_SHELL"
    $18 = "/usr/lib/libntpVnQE6mk"
    $19 = "LD_PRELOAD rootkit"
    $20 = "forge_maps"
    $21 = "is_ldpreload"
    $22 = "libseconf"
    $23 = "dcpuser"
    $24 = "process_to_filter"
  condition:
    uint32be(0) == 0x7f454c46 and uint16(16) == 3 and filesize < 4MB and $next and 2 of ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24)
}
