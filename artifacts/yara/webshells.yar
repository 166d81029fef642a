/*
  Pages that run what their visitor sends. The plainest forms are in backdoors.yar. Every rule wants a page's own beginning, so
  that lists of signatures, scanners and documentation are not matched.
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

rule php_shell_functions
{
  meta:
    author = "volforensic"
    description = "PHP that hands the visitor's words to a function that runs code or commands"
    severity = "high"
    confidence = "high"
    attack = "T1505.003"
    reference = "https://attack.mitre.org/techniques/T1505/003/"
    family = "webshell"
  strings:
    $php = /<\?(php|=|\s)/ nocase
    $1 = /create_function\s{0,4}\(\s{0,4}["'][^"'\n]{0,40}["']\s{0,4},\s{0,4}@?(base64_decode\s{0,4}\(\s{0,4})?\$_(GET|POST|REQUEST|COOKIE)/ nocase
    $2 = /((call_user_func|call_user_func_array|array_map|register_shutdown_function|ob_start)\s{0,4}\(\s{0,4}|(array_filter|usort|uasort|uksort|array_walk|array_reduce|preg_replace_callback)\s{0,4}\([^,;\n]{1,80},\s{0,4})@?\$_(GET|POST|REQUEST|COOKIE)\s{0,4}\[/ nocase
    $3 = /(=|echo|print|return|die\s?\(|exit\s?\()\s{0,2}@?`\s{0,4}\{?\$_(GET|POST|REQUEST|COOKIE|SERVER)\s{0,4}\[/
    $4 = /(eval|assert|system|passthru|shell_exec|exec|popen|proc_open|pcntl_exec)\s{0,4}\(\s{0,4}@?(implode|join|urldecode|rawurldecode|hex2bin|pack|str_rot13|strrev|gzinflate|gzuncompress|convert_uudecode|chr|sprintf|escapeshellcmd)\s{0,4}\(\s{0,4}[^()\n;]{0,40}\$_(GET|POST|REQUEST|COOKIE|SERVER)\s{0,4}\[/ nocase
    $5 = /(eval|assert)\s{0,4}\(\s{0,4}@?(getallheaders\s{0,4}\(|end\s{0,4}\(\s{0,4}\$_(GET|POST|REQUEST)|\$HTTP_RAW_POST_DATA|\$_SERVER\s{0,4}\[\s{0,4}["']HTTP_)/ nocase
    $input = /(eval|assert)\s{0,4}\(\s{0,4}@?file_get_contents\s{0,4}\(\s{0,4}["']php:\/\/input/
    $6 = /file_put_contents\s{0,4}\(\s{0,4}@?\$_(GET|POST|REQUEST|COOKIE)\s{0,4}\[[^\n]{1,80}\$_(GET|POST|REQUEST|COOKIE)\s{0,4}\[/ nocase
    $7 = /(include|require)(_once)?\s{0,4}\(?\s{0,4}@?\$_(GET|POST|REQUEST|COOKIE)\s{0,4}\[/ nocase
    $8 = /(preg_replace|ereg_replace|mb_ereg_replace|mb_eregi_replace)\s{0,4}\(\s{0,4}["'][^"'\n]{1,40}["']\s{0,4},\s{0,4}@?\$_(GET|POST|REQUEST|COOKIE)[^\n]{1,80}["']e["']/ nocase
    $9 = /preg_replace\s{0,4}\(\s{0,4}["']([\/#~|@!])[^"'\n]{0,40}[\/#~|@!][imsxu]{0,4}e[imsxu]{0,4}["']\s{0,4},\s{0,4}["']?(eval|assert|@?\$_(GET|POST|REQUEST|COOKIE))/ nocase
    $10 = /\$\{\s{0,4}["']_["']\s{0,4}\.\s{0,4}["'](G|P|R|C)/
  condition:
    filesize < 1MB and uint32be(0) != 0x7f454c46 and $php in (0..1024) and (any of ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) or ($input and filesize < 2KB))
}

rule php_shell_of_a_known_name
{
  meta:
    author = "volforensic"
    description = "A PHP web shell that names itself (c99, r57, b374k, WSO, p0wny, IndoXploit and others)"
    severity = "high"
    confidence = "high"
    attack = "T1505.003"
    reference = "https://attack.mitre.org/techniques/T1505/003/"
    family = "webshell"
  strings:
    $php = /<\?(php|=|\s)/ nocase
    $1 = "c99shexit"
    $2 = "c99sh_"
    $3 = "c99shell" nocase
    $4 = "r57shell" nocase
    $5 = "b374k"
    $6 = "FilesMan"
    $7 = "p0wny"
    $8 = "IndoXploit"
    $9 = "AnonymousFox"
    $10 = "WSOsetcookie"
    $11 = "Web Shell by o"
    $12 = "alfacgiapi"
    $13 = "phpspypass"
    $14 = "Ani-Shell"
    $15 = "Mini Shell"
    $16 = "Gecko Shell"
    $17 = "Tryag File Manager"
    $18 = "NIX REMOTE WEB-SHELL"
    $19 = "Locus7Shell"
    $20 = "angel's phpspy"
    $run = /(eval|system|shell_exec|passthru|proc_open|popen|exec|assert)\s{0,4}\(/
    $visitor = /\$_(GET|POST|REQUEST|COOKIE|FILES|SERVER)/
  condition:
    filesize < 1MB and uint32be(0) != 0x7f454c46 and not names_signatures and $php in (0..512) and $run and $visitor and any of ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)
}

rule php_shell_with_key
{
  meta:
    author = "volforensic"
    description = "A PHP web shell that decrypts with a key what it runs (Behinder, Godzilla, weevely and the like)"
    severity = "high"
    confidence = "high"
    attack = "T1505.003, T1573.001"
    reference = "https://github.com/rebeyond/Behinder"
    family = "webshell"
  strings:
    $php = /<\?(php|=|\s)/ nocase
    // Behinder: the body of the request is decrypted or un-XORed with a session key and evaluated.
    $behinder_1 = "php://input"
    $behinder_2 = "session_start("
    $behinder_3 = /openssl_decrypt\s{0,4}\(|\^\s{0,2}\$\w{1,16}\[\s{0,2}\$\w{1,8}\s{0,2}\+\s{0,2}1\s{0,2}&\s{0,2}15\s{0,2}\]/
    $run = /eval\s{0,4}\(|assert\s{0,4}\(|create_function|__invoke/
    // Godzilla: payload kept in the session, answer between two halves of an MD5.
    $godzilla_1 = /md5\s{0,4}\(\s{0,4}\$pass\s{0,2}\.\s{0,2}\$key\s{0,4}\)/
    $godzilla_2 = "$_SESSION[$payloadName]"
    $godzilla_3 = "3c6e0b8a9c15224a"
    $key_of_behinder = "e45e329feb5d925b"
    // weevely: its three keys, or its code cut by a word that str_replace takes out.
    $weevely_1 = /\$kh ?= ?["'][0-9a-f]{12}["']; ?\$kf ?= ?["'][0-9a-f]{12}["']/
    $file = "__FILE__"
    $weevely_2 = /\$\w{1,3}\s{0,2}=\s{0,2}str_replace\(["'][^"'\n]{1,6}["'],\s{0,2}["']["'],\s{0,2}["'][^"'\n]{6,80}["']\);\s{0,4}\$\w/
    $weevely_3 = /\$\w{1,3}\s{0,2}=\s{0,2}\$\w{1,3}\(["']["'],\s{0,2}\$\w{1,3}\);\s{0,4}\$\w{1,3}\(\);/
    // "phar" in escapes, as its newer pages include themselves.
    $weevely_4 = /\\(x70|160)(\\x68|\\150|h)(\\x61|\\141|a)(\\x72|\\162|r)/
  condition:
    filesize < 64KB and uint32be(0) != 0x7f454c46 and $php in (0..1024) and
    ((all of ($behinder_*) and $run) or ($run and any of ($godzilla_1, $godzilla_2, $godzilla_3, $key_of_behinder)) or $weevely_1 or ($weevely_2 and $weevely_3) or ($weevely_4 and $file))
}

rule php_decodes_and_runs
{
  meta:
    author = "volforensic"
    description = "PHP that unpacks a long text and runs it"
    severity = "high"
    confidence = "medium"
    attack = "T1505.003, T1027"
    reference = "https://www.php.net/manual/en/function.eval.php"
    family = "webshell"
  strings:
    $php = /<\?(php|=|\s)/ nocase
    $1 = /eval\s{0,4}\(\s{0,4}(@|"\?>"\s{0,2}\.\s{0,2}|'\?>'\s{0,2}\.\s{0,2})?(base64_decode|gzinflate|gzuncompress|str_rot13|strrev|gzdecode|convert_uudecode|hex2bin|rawurldecode|urldecode)\s{0,4}\(\s{0,4}((base64_decode|gzinflate|gzuncompress|str_rot13|strrev|gzdecode|convert_uudecode|hex2bin|rawurldecode|urldecode)\s{0,4}\(\s{0,4}){0,6}["'][A-Za-z0-9+\/=%\\]{60}/ nocase
    $2 = /eval\s{0,4}\(\s{0,4}\$\w{1,24}\s{0,4}\(\s{0,4}\$\w{1,24}\s{0,4}\(\s{0,4}(\$\w{1,24}\s{0,4}\(\s{0,4})?["'][A-Za-z0-9+\/=]{60}/
    $3 = /assert\s{0,4}\(\s{0,4}(base64_decode|gzinflate|gzuncompress|str_rot13)\s{0,4}\(/
    $4 = /\$\w{1,24}\s{0,4}=\s{0,4}["']b["']\s{0,2}\.\s{0,2}["']a["']\s{0,2}\.\s{0,2}["']s["']/
    $5 = /eval\s{0,4}\(\s{0,4}gzinflate\s{0,4}\(\s{0,4}(str_rot13\s{0,4}\(\s{0,4})?base64_decode/ nocase
  condition:
    filesize < 4MB and uint32be(0) != 0x7f454c46 and $php in (0..1024) and not names_signatures and any of ($1, $2, $3, $4, $5)
}

rule php_names_in_pieces
{
  meta:
    author = "volforensic"
    description = "PHP that hides the names of functions in escapes, XOR or single letters: web shells do so, and so do sellers of closed code"
    severity = "medium"
    confidence = "medium"
    attack = "T1505.003, T1027"
    reference = "https://www.php.net/manual/en/language.variables.variable.php"
    family = "webshell"
  strings:
    $php = /<\?(php|=|\s)/ nocase
    $escape = /\$\{["'][A-Z]{0,4}\\x[0-9a-fA-F]{2}/
    $xor_1 = "'^'"
    $xor_2 = "' ^ '"
    $xor_3 = "\"^\""
    $xor_4 = "\" ^ \""
    $3 = /(chr\s{0,2}\(\s{0,2}[0-9x]{2,4}\s{0,2}\)\s{0,2}\.\s{0,2}){5}/
    $4 = /\$\w{1,16}\[[0-9]{1,2}\]\s{0,2}\.\s{0,2}\$\w{1,16}\[[0-9]{1,2}\]\s{0,2}\.\s{0,2}\$\w{1,16}\[[0-9]{1,2}\]\s{0,2}\.\s{0,2}\$\w{1,16}\[[0-9]{1,2}\]/
    $5 = /\$\{?["']?_["']?\}?\s{0,2}=\s{0,2}["'][^\n]{1,40}\+\+;\s{0,2}\$/
    $visitor = /\$_(GET|POST|REQUEST|COOKIE)|\$_{1,4}\[|\$\{\$?_{1,4}\}\[|eval\s{0,4}\(|create_function/
  condition:
    filesize < 1MB and uint32be(0) != 0x7f454c46 and $php in (0..1024) and not names_signatures and
    (#escape >= 3 or ((#xor_1 + #xor_2 + #xor_3 + #xor_4 >= 2 or $3) and $visitor and filesize < 64KB) or (#4 >= 2 and $visitor and filesize < 64KB) or ($5 and $visitor and filesize < 64KB))
}

rule php_in_image
{
  meta:
    author = "volforensic"
    description = "PHP that runs the visitor's words behind the beginning of an image"
    severity = "high"
    confidence = "high"
    attack = "T1505.003, T1036.008"
    reference = "https://attack.mitre.org/techniques/T1036/008/"
    family = "webshell"
  strings:
    $php = /<\?(php|=)/ nocase
    $visitor = /\$_(GET|POST|REQUEST|COOKIE|SERVER|FILES)\s{0,4}\[/
  condition:
    filesize < 4MB and (uint32be(0) == 0x47494638 or uint32be(0) == 0x89504e47 or uint16be(0) == 0xffd8 or uint16be(0) == 0x424d or uint32be(0) == 0x25504446) and $php and $visitor
}

rule php_upload_form
{
  meta:
    author = "volforensic"
    description = "A short PHP page that stores what is sent under the name that the visitor chose"
    severity = "medium"
    confidence = "medium"
    attack = "T1505.003, T1105"
    reference = "https://www.php.net/manual/en/features.file-upload.php"
    family = "webshell"
  strings:
    $php = /<\?(php|=|\s)/ nocase
    $1 = /(copy|move_uploaded_file)\s{0,4}\(\s{0,4}\$_FILES\s{0,2}\[[^\]\n]{1,24}\]\s{0,2}\[["']?tmp_name["']?\]\s{0,4},\s{0,4}(\$_FILES\s{0,2}\[[^\]\n]{1,24}\]\s{0,2}\[["']?name["']?\]|\$_(GET|POST|REQUEST))/
    $2 = /(fwrite|fputs|file_put_contents)\s{0,4}\(\s{0,4}[^,\n]{1,60},\s{0,4}@?((base64_decode|stripslashes|urldecode|hex2bin)\s{0,4}\(\s{0,4})?\$_(GET|POST|REQUEST|COOKIE)\s{0,4}\[/
  condition:
    filesize < 16KB and uint32be(0) != 0x7f454c46 and $php in (0..1024) and any of ($1, $2)
}

rule php_command_page
{
  meta:
    author = "volforensic"
    description = "A PHP page that takes a command from the visitor into a variable and runs a variable"
    severity = "medium"
    confidence = "medium"
    attack = "T1505.003"
    reference = "https://attack.mitre.org/techniques/T1505/003/"
    family = "webshell"
  strings:
    $php = /<\?(php|=|\s)/ nocase
    $take = /\$(cmd|c|command|comando|shell|kommand|cmnd)\s{0,4}=\s{0,4}@?((base64_decode|urldecode|trim|stripslashes|hex2bin)\s{0,4}\(\s{0,4})?\$_(GET|POST|REQUEST|COOKIE)\s{0,4}\[/ nocase
    $run = /(eval|assert|system|passthru|shell_exec|exec|popen|proc_open)\s{0,4}\(\s{0,4}["']?\$(cmd|c|command|comando|shell|kommand|cmnd)\b/
  condition:
    filesize < 256KB and uint32be(0) != 0x7f454c46 and $php in (0..1024) and $take and $run
}

rule jsp_runs_commands
{
  meta:
    author = "volforensic"
    description = "A Java server page that takes a parameter or header and starts processes"
    severity = "high"
    confidence = "medium"
    attack = "T1505.003"
    reference = "https://attack.mitre.org/techniques/T1505/003/"
    family = "webshell"
  strings:
    $page_1 = "<%"
    $page_2 = "<jsp:scriptlet"
    $visitor_1 = "request.getParameter("
    $visitor_2 = "request.getHeader("
    $visitor_3 = "request.getReader("
    $visitor_4 = "request.getInputStream("
    $visitor_5 = "request.getCookies("
    $visitor_6 = "${param"
    $run_1 = "getRuntime().exec("
    $run_2 = /new\s{1,4}(java\.lang\.)?ProcessBuilder\s{0,4}\(/
    $run_3 = "ScriptEngineManager"
    $run_4 = "java.lang.Runtime"
    $run_5 = "java.lang.ProcessImpl"
  condition:
    filesize < 256KB and uint32be(0) != 0x7f454c46 and not names_signatures and any of ($page_*) and any of ($visitor_*) and any of ($run_*)
}

rule jsp_loads_classes
{
  meta:
    author = "volforensic"
    description = "A Java server page that makes a class of what it is sent (Behinder, Godzilla, AntSword and the like)"
    severity = "high"
    confidence = "high"
    attack = "T1505.003, T1620"
    reference = "https://github.com/rebeyond/Behinder"
    family = "webshell"
  strings:
    $page_1 = "<%"
    $page_2 = "<jsp:"
    $class_1 = "extends ClassLoader"
    $class_2 = "defineClass"
    $class_3 = "ClassLoader"
    $decode_1 = "javax.crypto"
    $decode_2 = "BASE64Decoder"
    $decode_3 = "Base64"
    $decode_4 = "\"AES"
    $decode_5 = "decodeBuffer"
    $visitor_1 = "request.get"
    $visitor_2 = "pageContext"
    $visitor_3 = "equals(\"POST\")"
  condition:
    filesize < 256KB and uint32be(0) != 0x7f454c46 and not names_signatures and any of ($page_*) and ($class_1 or $class_3) and $class_2 and any of ($decode_*) and any of ($visitor_*)
}

rule jsp_shell_class
{
  meta:
    author = "volforensic"
    description = "A compiled Java server page that starts processes or defines classes: what Tomcat keeps of a web shell after the page is gone"
    severity = "high"
    confidence = "medium"
    attack = "T1505.003"
    reference = "https://docs.oracle.com/javase/specs/jvms/se17/html/jvms-4.html"
    family = "webshell"
  strings:
    $page = "_jspService"
    $run_1 = "java/lang/Runtime"
    $run_2 = "java/lang/ProcessBuilder"
    $run_3 = "defineClass"
    $visitor = "getParameter"
    $visitor_2 = "getReader"
  condition:
    filesize < 256KB and uint32be(0) == 0xcafebabe and $page and any of ($run_*) and any of ($visitor*)
}

rule python_web_shell
{
  meta:
    author = "volforensic"
    description = "Python behind a web server (Flask, Django, CGI, http.server) that runs what the visitor sends"
    severity = "high"
    confidence = "high"
    attack = "T1505.003, T1059.006"
    reference = "https://flask.palletsprojects.com/en/stable/api/#flask.Request.args"
    family = "webshell"
  strings:
    $1 = /(os\.(system|popen)|subprocess\.(check_output|run|Popen|call|getoutput)|getoutput|eval|exec|commands\.getoutput)\(\s{0,4}\[?[^()\n]{0,40}request\.(args|form|values|json|cookies|headers|data|GET|POST|query|params|META|get_data|get_json)\b/
    $2 = /(os\.(system|popen)|subprocess\.(check_output|run|Popen|call|getoutput)|getoutput|eval|exec|commands\.getoutput)\(\s{0,4}\w{1,20}\.(getvalue|getfirst)\(/
    $3 = /(os\.(system|popen)|subprocess\.(check_output|run|Popen|call|getoutput)|getoutput|eval|exec)\(\s{0,4}[^()\n]{0,60}(environ(\.get\(|\[)["'](QUERY_STRING|HTTP_)|self\.headers(\.get\(|\[))/
    $4 = /(os\.(system|popen)|subprocess\.(check_output|run|Popen|getoutput)|getoutput)\(\s{0,4}(urllib\.parse\.)?unquote(_plus)?\(\s{0,4}self\.path/
  condition:
    filesize < 256KB and uint32be(0) != 0x7f454c46 and not names_signatures and any of them
}

rule python_command_page
{
  meta:
    author = "volforensic"
    description = "A short Python program behind a web server that takes a word of the visitor into a variable and gives a variable to a shell"
    severity = "medium"
    confidence = "medium"
    attack = "T1505.003, T1059.006"
    reference = "https://docs.python.org/3.11/library/cgi.html"
    family = "webshell"
  strings:
    $take_1 = /\w{1,20}\s{0,2}=\s{0,2}(flask\.)?request\.(args|form|values|cookies|headers)(\.get\(|\[)/
    $take_2 = /\w{1,20}\s{0,2}=\s{0,2}\w{1,20}\.(getvalue|getfirst)\(["']/
    $take_3 = /def do_(GET|POST)\(self/
    $page_1 = "@app.route("
    $page_2 = "cgi.FieldStorage("
    $page_3 = "BaseHTTPRequestHandler"
    $run_1 = /os\.(system|popen)\(\s{0,4}\w{1,20}\s{0,4}\)/
    $run_2 = /subprocess\.(check_output|run|Popen|call)\(\s{0,4}\w{1,20}\s{0,4},[^\n]{0,80}shell\s{0,2}=\s{0,2}True/
    $run_3 = /subprocess\.getoutput\(\s{0,4}\w{1,20}\s{0,4}\)/
  condition:
    filesize < 16KB and uint32be(0) != 0x7f454c46 and not names_signatures and any of ($take_*) and any of ($page_*) and any of ($run_*)
}

rule cgi_shell
{
  meta:
    author = "volforensic"
    description = "A CGI script in shell, Perl or Ruby, or a program for Node, that runs what the visitor sends"
    severity = "high"
    confidence = "medium"
    attack = "T1505.003, T1059.004"
    reference = "https://www.rfc-editor.org/rfc/rfc3875"
    family = "webshell"
  strings:
    $header = /Content-[Tt]ype: {0,2}text\/(html|plain)/
    $1 = /(eval|bash -c|sh -c) [^\n]{0,40}\$\{?QUERY_STRING/
    $2 = /\$\(\s{0,2}(echo|printf)[^\n)]{0,40}\$\{?QUERY_STRING[^\n)]{0,200}\)[^\n]{0,40}\| {0,2}(ba)?sh/
    $3 = /(system|exec|open|qx|eval)\s{0,2}[\({"'|]{0,4}\s{0,2}(uri_unescape\()?(\$ENV\{["']?(QUERY_STRING|HTTP_)|(\$\w{1,12}->)?param\()/
    $4 = /`\s{0,2}\$ENV\{["']?QUERY_STRING/
    $node = /\b(exec|execSync|spawn|spawnSync|eval)\(\s{0,4}(req|request|ctx)\.(query|body|params|headers)[\.\[]/
    $ruby = /(system\(\s{0,2}|IO\.popen\(\s{0,2})params\[/
    $node_module = "child_process"
  condition:
    filesize < 256KB and uint32be(0) != 0x7f454c46 and not names_signatures and (($header and uint16be(0) == 0x2321 and any of ($1, $2, $3, $4)) or ($node and $node_module) or $ruby)
}
