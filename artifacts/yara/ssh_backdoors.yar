/*
  Doors and thieves in what asks for passwords: sshd, the SSH client, PAM. A normal build of OpenSSH writes no password anywhere.
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

rule sshd_logs_passwords
{
  meta:
    author = "volforensic"
    description = "A build of sshd or ssh that writes names and passwords to a file, or knows a password of its own"
    severity = "critical"
    confidence = "high"
    attack = "T1556, T1056"
    reference = "https://attack.mitre.org/techniques/T1556/"
    family = "sshd-backdoor"
  strings:
    $ssh_1 = "OpenSSH_"
    $ssh_2 = "/etc/ssh/ssh"
    $log_1 = "+user: %s +password: %s"
    $log_2 = "pass_from: %s"
    $log_3 = "user:password@host"
    $log_4 = "Password: %s\n"
    $log_5 = "password: %s\n"
    $log_6 = "pass: %s\n"
    $log_7 = "user=%s&pass"
    $log_8 = "%s:%s@%s\n"
    $log_9 = "passwd=%s"
    $log_10 = "[*] %s:%s"
    $log_11 = "IN: %s@ (%s) %s\n"
    $log_12 = "OUT=> %s@%s (%s)\n"
    $log_13 = "backdoor"
    $log_14 = "magicpass" nocase
    $log_15 = "login at: %s pass:"
    $hidden = /\/(tmp|var\/tmp|dev\/shm|var\/log|usr\/(local\/)?(lib|share|include|bin|sbin)|etc|var\/(run|lib|opt))\/\.[\w-][\w.\/-]{2,60}/
    $known = /\/(tmp\/\.X11-unix|tmp\/\.ICE-unix|etc\/\.pwd)/
    $header = /\/usr\/(local\/)?include\/[\w\/-]{1,40}\.h/
    $nscd = "/var/run/nscd/ns.pid"
  condition:
    uint32be(0) == 0x7f454c46 and filesize < 8MB and all of ($ssh_*) and (any of ($log_*) or #hidden > #known or $header or $nscd)
}

rule keyutils_that_connects
{
  meta:
    author = "volforensic"
    description = "A libkeyutils that opens sockets or shared memory, which the library has no use for: a trait of Ebury"
    severity = "critical"
    confidence = "high"
    attack = "T1556, T1554"
    reference = "https://www.welivesecurity.com/2014/03/18/operation-windigo-the-vivisection-of-a-large-linux-server-side-credential-stealing-malware-campaign/"
    family = "ebury"
  strings:
    $library_1 = "keyctl_search" fullword
    $library_2 = "keyctl_set_reqkey_keyring" fullword
    $1 = "socket" fullword
    $2 = "connect" fullword
    $3 = "bind" fullword
    $4 = "shmget" fullword
    $5 = "system" fullword
    $6 = "popen" fullword
    $7 = "dlinfo" fullword
    $8 = "mprotect" fullword
    $9 = "getifaddrs" fullword
    $10 = "res_query"
    $11 = "semget" fullword
    $interpreter = "/ld-"
  condition:
    uint32be(0) == 0x7f454c46 and uint16(16) == 3 and filesize < 1MB and all of ($library_*) and not $interpreter in (0..4096) and 2 of ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
}

rule pam_module_keeps_passwords
{
  meta:
    author = "volforensic"
    description = "A PAM module that writes passwords to a hidden or temporary file or sends them away"
    severity = "critical"
    confidence = "medium"
    attack = "T1556.003"
    reference = "https://attack.mitre.org/techniques/T1556/003/"
    family = "pam-backdoor"
  strings:
    $pam_1 = "pam_sm_authenticate" fullword
    $word_1 = "pam_get_authtok"
    $word_2 = "pam_get_item"
    $word_3 = "pam_get_user"
    $write_1 = "fprintf"
    $write_2 = "fopen"
    $write_3 = "write" fullword
    $write_4 = "vfprintf"
    $hidden = /\/(tmp|var\/tmp|dev\/shm|var\/log|usr\/(local\/)?(lib|share|include|bin|sbin)|etc|var\/(run|lib|opt))\/\.[\w-][\w.\/-]{2,60}/
    $known = /\/(tmp\/\.X11-unix|tmp\/\.ICE-unix|etc\/\.pwd)/
    $temporary = /\/(tmp|var\/tmp|dev\/shm)\/[\w.-]{2,60}\x00/
    $format_1 = /(user(name)?|login) ?[:=] ?%s[^%\x00]{0,16}(pass(word|wd)?|pwd) ?[:=] ?%s/
    $format_2 = /(pass(word|wd)?|pwd) ?[:=] ?%s\n?\x00/
    $format_3 = "%s:%s\n"
    $format_4 = "%s@%s:%s\n"
    $send_1 = "sendto" fullword
    $send_2 = "curl_easy_perform"
    $send_3 = "/bin/sh -c curl"
    $send_4 = "https://api.telegram.org"
    $send_5 = "https://discord.com/api/webhooks"
  condition:
    uint32be(0) == 0x7f454c46 and uint16(16) == 3 and filesize < 1MB and $pam_1 and any of ($word_*) and
    (any of ($send_3, $send_4, $send_5) or (#hidden > #known and any of ($write_*)) or
      (any of ($format_*) and ($temporary or any of ($send_1, $send_2))) or
      ($temporary and any of ($write_*) and any of ($format_1, $format_2)))
}

rule pam_unix_with_a_second_door
{
  meta:
    author = "volforensic"
    description = "A pam_unix that holds words of a patch: a password of its own or a file of passwords"
    severity = "critical"
    confidence = "medium"
    attack = "T1556.003"
    reference = "https://github.com/zephrax/linux-pam-backdoor"
    family = "pam-backdoor"
  strings:
    $unix_1 = "pam_sm_chauthtok" fullword
    $unix_2 = "unix_chkpwd"
    $1 = "backdoor"
    $2 = "master pass" nocase
    $3 = "magic" fullword
    $4 = "/tmp/"
    $5 = "/var/log/"
    $6 = "/usr/include/"
    $7 = "HISTFILE"
  condition:
    uint32be(0) == 0x7f454c46 and uint16(16) == 3 and filesize < 1MB and all of ($unix_*) and any of ($1, $2, $3, $4, $5, $6, $7)
}

rule pam_exec_takes_passwords
{
  meta:
    author = "volforensic"
    description = "A PAM configuration that gives the password to a script in a temporary or hidden place"
    severity = "high"
    confidence = "medium"
    attack = "T1556.003"
    reference = "https://man7.org/linux/man-pages/man8/pam_exec.8.html"
    family = "pam-backdoor"
  strings:
    $1 = /pam_exec\.so[^\n]{0,60}expose_authtok[^\n]{0,80}(\/tmp\/|\/var\/tmp\/|\/dev\/shm\/|\/\.[\w]|curl |wget |nc )/
  condition:
    filesize < 64KB and uint32be(0) != 0x7f454c46 and not names_signatures and $1
}

rule script_keeps_pam_passwords
{
  meta:
    author = "volforensic"
    description = "A script for pam_exec that reads the password from its input and stores or sends it with the user's name"
    severity = "high"
    confidence = "medium"
    attack = "T1556.003, T1056"
    reference = "https://man7.org/linux/man-pages/man8/pam_exec.8.html"
    family = "pam-backdoor"
  strings:
    $user = "PAM_USER"
    $read_1 = "$(cat -)"
    $read_4 = "`cat -`"
    $read_5 = "$(cat)"
    $read_6 = /tr (-d )?["']?\\0/
    $read_7 = "cat /dev/stdin"
    $read_8 = "$(head "
    $read_2 = /read [^\n]{0,24}(PASS|pass|PW|pw|TOK|tok)/
    $read_3 = /sys\.stdin\.(read|readline)\(/
    $keep_1 = />> ?["']?[\/~$]/
    $keep_2 = /curl [^\n]{0,200}(-d|--data|-F|\?|-X POST)/
    $keep_3 = /open\([^)\n]{2,80},\s{0,2}["']a/
    $word = /[Pp][Aa][Ss][Ss]/
  condition:
    filesize < 16KB and uint16be(0) == 0x2321 and $user and $word and any of ($read_*) and any of ($keep_*)
}

rule ssh_traced_for_passwords
{
  meta:
    author = "volforensic"
    description = "strace over ssh, sshd, su or sudo that writes down what is read and typed: a thief of passwords"
    severity = "high"
    confidence = "high"
    attack = "T1056.001"
    reference = "https://man7.org/linux/man-pages/man1/strace.1.html"
    family = "ssh-keylogger"
  strings:
    $1 = /strace [^\n]{0,80}-e ?(trace ?= ?)?["']?(read|write)[^\n]{0,120}(ssh|sudo|su )/
    $2 = /alias (ssh|su|sudo)=["']?[^\n]{0,40}strace /
    $3 = /strace [^\n]{0,80}-p[^\n]{0,60}(pgrep|pidof)[^\n]{0,24}sshd/
    $keep_1 = / -o ?["']?[\/~$]/
  condition:
    filesize < 256KB and uint32be(0) != 0x7f454c46 and not names_signatures and ($2 or ($keep_1 and any of ($1, $3)))
}

rule sudo_replaced_by_thief
{
  meta:
    author = "volforensic"
    description = "A function, alias or script that stands in for sudo or su, asks for the password itself and keeps it"
    severity = "high"
    confidence = "medium"
    attack = "T1056, T1546.004"
    reference = "https://attack.mitre.org/techniques/T1056/"
    family = "sudo-thief"
  strings:
    $ask = /read (-[a-z]{1,4} ){0,3}(-p ["'][^\n]{0,60}["'] )?(-[a-z]{1,4} ){0,2}\w{1,20}/
    $prompt = "[sudo] password for"
    $keep_1 = />> ?["']?[\/~$]/
    $keep_2 = /curl [^\n]{0,200}(-d|--data|-F|\?)/
    $keep_3 = /nc [^\n]{2,100}/
  condition:
    filesize < 256KB and uint32be(0) != 0x7f454c46 and not names_signatures and $ask and $prompt and any of ($keep_*)
}

rule sshd_wrapper_script
{
  meta:
    author = "volforensic"
    description = "A script in the place of sshd that gives a shell to a connection from a certain port"
    severity = "critical"
    confidence = "high"
    attack = "T1554, T1556"
    reference = "https://attack.mitre.org/techniques/T1554/"
    family = "sshd-backdoor"
  strings:
    $peer = /getpeername\s{0,2}\(?\s{0,2}STDIN/
    $shell = /exec[^\n]{0,24}\/bin\/(ba|da)?sh/
    $sshd = "sshd"
  condition:
    filesize < 64KB and uint16be(0) == 0x2321 and all of them
}
