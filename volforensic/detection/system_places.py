"""Programs in the system's own directories that no package brought.

A distribution fills these directories from packages only; people and other installers do it, too, and their habits are
listed here at length, for each name that is not costs a finding.
"""

import re
from collections.abc import Iterator

from volforensic.detection.judgements import Group, Judgement, Subject, article
from volforensic.record import Severity

RULE = "unowned-program-in-system-directory"

SYSTEM_DIRECTORY = re.compile(
    r"(?:/usr)?/(?:s?bin|lib(?:exec|32|64|x32)?)/|/boot/|/etc/(?:update-motd\.d|systemd/system-generators|NetworkManager/dispatcher\.d|initramfs-tools|dracut\.conf\.d)/"
)

_OTHER_INSTALLERS = re.compile(
    r"(?:/usr)?/lib(?:32|64|exec)?/(?:python[23]?(?:\.[0-9]{1,2})?/(?:site|dist)-packages/|node_modules/|ruby/|(?:x86_64-linux-gnu/|aarch64-linux-gnu/)?(?:ruby|perl5?|R|lua|erlang|ghc|ocaml|julia|octave)/"
    r"|R/|perl5?/|jvm/|java/|go(?:lang|-[0-9.]{1,6})?/|dotnet/|rustlib/|debug/|locale/|firmware/|docker/cli-plugins/|ansible/|oracle/|google-cloud-sdk/|heroku/|hadoop[^/]{0,20}/|spark[^/]{0,20}/"
    r"|nagios/|monitoring-plugins/|zabbix/|munin/|collectd/|check_mk_agent/|cgi-bin/|gitlab-runner/|jenkins/|sonarqube/|elasticsearch/|kibana/|grafana/|cassandra/|kafka/|zookeeper/"
    r"|virtualbox/|vmware[^/]{0,30}/|VBoxGuestAdditions/|parallels[^/]{0,20}/|xen[^/]{0,10}/|nvidia[^/]{0,40}/|cuda[^/]{0,20}/|libreoffice/|firefox/|chromium[^/]{0,20}/|mozilla/|emacs/|vim/|llvm[^/]{0,10}/"
    r"|cni/|kubernetes/|kubelet-plugins/|k3s/|rancher/|ocf/|drbd/|pcs[^/]{0,6}/|heartbeat/|tuned/|WALinuxAgent/|amazon/|aws[^/]{0,30}/|ec2[^/]{0,30}/|google[^/]{0,30}/|fluentd?[^/]{0,20}/|td-agent/|systemd/system-environment-generators/snapd[^/]{0,40})"
    r"|/boot/(?:grub2?|efi|loader|extlinux|syslinux|ostree)/|(?:/usr)?/lib/grub/|(?:/usr)?/lib/klibc"
)
"""Directories that other package managers, languages, vendors and boot loaders fill themselves."""

_KNOWN_TOOLS = re.compile(
    r"(?:aws(?:_completer|-.{1,40})?|amazon-.{1,60}|ec2-.{1,60}|ecs-.{1,60}|eksctl|kubectl.{0,30}|kubelet|kubeadm|kube-.{1,40}|kustomize|helm.{0,10}|k3s.{0,30}|k9s|k0s|kind|minikube|crictl|ctr|nerdctl|calicoctl|cilium.{0,20}|flannel|hubble|istioctl|linkerd|argocd|argo|flux|velero"
    r"|docker.{0,40}|containerd.{0,40}|runc|crun|podman.{0,20}|buildctl|buildkitd|buildx|rootlesskit|slirp4netns|tini|dumb-init|gosu|su-exec|s6-.{1,40}|supervisord|pid1|catatonit|conmon|fuse-overlayfs|soci.{0,20}|stargz.{0,30}"
    r"|terraform.{0,30}|terragrunt|packer|vault|consul.{0,20}|nomad|boundary|waypoint|sentinel|tofu|pulumi.{0,30}|ansible.{0,30}|chef.{0,30}|knife|puppet.{0,20}|facter|salt.{0,20}|cfn-.{1,30}|cloud-.{1,30}|codedeploy.{0,30}|cwagent.{0,20}"
    r"|node_exporter|.{1,40}_exporter|prometheus|promtool|alertmanager|amtool|pushgateway|blackbox.{0,20}|grafana.{0,30}|loki|promtail|logcli|telegraf|influx.{0,10}|chronograf|kapacitor|vector|fluent-?bit|fluentd|filebeat|metricbeat|auditbeat|packetbeat|heartbeat|otelcol.{0,20}|jaeger.{0,20}|tempo|mimir|thanos|vmagent|victoria.{0,30}|netdata.{0,20}|datadog.{0,20}|newrelic.{0,20}|nrsysmond|zabbix.{0,30}|nrpe|nsca|check_.{1,60}|statsd|collectd.{0,20}|monit|munin.{0,30}"
    r"|etcd.{0,10}|minio|mc|mcli|rclone|restic|borg.{0,10}|duplicacy|kopia|s3cmd|s5cmd|goofys|s3fs|rsnapshot|wal-g|pgbackrest|mydumper|myloader|xtrabackup|xbstream|mongo.{0,20}|bson.{0,10}|redis-.{1,30}|psql|pg_.{1,40}|mysql.{0,40}|maria.{0,40}|clickhouse.{0,30}|cockroach|influxd?|sqlite3?|duckdb|litestream|pgbouncer|proxysql.{0,10}"
    r"|jq|yq|gh|glab|hub|git-.{1,40}|git|lazygit|fzf|bat|batcat|exa|eza|rg|fd|fdfind|htop|btop|gotop|ctop|dive|lazydocker|delta|zoxide|starship|direnv|mkcert|step|step-cli|cfssl.{0,10}|certbot.{0,10}|lego|acme\.sh|caddy|traefik|envoy|nginx.{0,20}|haproxy.{0,20}|cloudflared|ngrok|frpc|frps|tailscaled?|zerotier.{0,10}|wireguard.{0,10}|wg.{0,10}|openvpn.{0,10}|hugo|gitea|forgejo|act_runner|gitlab.{0,30}|drone.{0,20}|buildkite.{0,20}|jenkins.{0,20}|sonar.{0,20}|nexus.{0,20}"
    r"|node|nodejs|npm|npx|yarn|yarnpkg|pnpm|pnpx|corepack|bun|bunx|deno|pm2.{0,20}|tsc|nest|ng|vite|esbuild|composer.{0,10}|php.{0,20}|phpize.{0,10}|pecl|pear|peardev|wp|wp-cli.{0,10}|drush|artisan|symfony|laravel|python.{0,20}|pip.{0,10}|pipx|pipenv|poetry|uv|uvx|virtualenv|wheel.{0,10}|easy_install.{0,10}|conda|mamba|ruby.{0,10}|gem.{0,10}|bundler?.{0,10}|rake.{0,10}|erb.{0,10}|irb.{0,10}|go|gofmt|cargo.{0,20}|rustc|rustup|java.{0,10}|javac|mvn|gradle|ant|sbt|scala|kotlin.{0,10}|dotnet|pwsh|julia|swift.{0,20}|elixir|erl|mix|iex|perl.{0,10}|cpan.{0,10}|prove.{0,6}"
    r"|gunicorn.{0,10}|uwsgi.{0,20}|celery|flask|django-admin.{0,6}|uvicorn|fastapi|jupyter.{0,30}|ipython.{0,6}|supervisorctl|pidproxy|echo_supervisord_conf|youtube-dl|yt-dlp|ffmpeg|ffprobe|wkhtmlto.{1,10}|magick|convert|gs|phantomjs|chromedriver|geckodriver|google-chrome.{0,10}|chrome|chromium.{0,20}|snapctl|flatpak|speedtest.{0,10}|iperf3?|hey|wrk|k6|vegeta|ab|trivy|grype|syft|cosign|sops|age|age-keygen|gitleaks|trufflehog|lynis|rkhunter|chkrootkit|maldet|imunify.{0,30}|clamd?.{0,20}"
    r"|qemu-.{1,40}|nvidia-.{1,60}|nv-.{1,40}|cuda.{0,40}|VBox.{1,40}|vbox.{1,40}|vmware-.{1,60}|vm-support|vmtoolsd|xe-.{1,40}|waagent.{0,10}|google_.{1,60}|gce-.{1,40}|oci-.{1,40}|linode.{0,20}|droplet-agent|do-agent|hc-utils|vultr.{0,20}|instance-.{1,40}"
    r"|policy-rc\.d|initctl|invoke-rc\.d|start-stop-daemon.{0,10}|update-rc\.d|chkconfig|service|ischroot|docker-php-.{1,30}|docker-entrypoint.{0,10}|docker_.{1,30}|entrypoint(?:\.sh)?|install_packages|.{1,60}\.(?:distrib|dpkg-[a-z]{3,8}|rpmnew|rpmsave|divert.{0,10}|real|REAL|orig|usr-is-merged))"
)
"""Programs that people copy into the system's directories by hand, that images bring or maintainer scripts make."""
_KNOWN_LIBRARIES = re.compile(
    r"lib(?:nv|cud|cu|GL|EGL|OpenCL|nccl|npp|vdpau_nvidia|oci|clntsh|occi|ociei|nnz|db2|sapcrypto|odbc|msodbc|tds|tcmalloc|jemalloc|mimalloc|aws|s2n|nfs_helper|vmtools|appmonitorlib|ssm|ecs|newrelic|dd|instana|dynatrace|one[aA]gent|appd|ssl|crypto|ngx|onig|zip|sodium|rdkafka|mongoc?|bson|geos|gdal|proj|tensorflow|torch|onnx|v8|node|php|ruby|python|perl|R|lua|z|icu|brotli|curl|xml2|event|uv)[^/]{0,120}"
)
"""Beginnings of names of libraries that vendors' installers and `make install --prefix=/usr` put there."""

_PAM_MODULE = re.compile(r".{0,200}/security/(pam_[^/]{1,80})\.so(?:\.[0-9]{1,2})?")
_KNOWN_PAM = frozenset(
    """
    pam_aad pam_afs_session pam_centrifydc pam_duo pam_google_authenticator pam_krb5 pam_ldap pam_lsass pam_mysql
    pam_oath pam_okta pam_oslogin_admin pam_oslogin_login pam_otpw pam_pgsql pam_pwquality pam_radius_auth pam_rsa
    pam_script pam_securid pam_slurm pam_slurm_adopt pam_ssh_agent_auth pam_sss pam_tacplus pam_teleport pam_u2f
    pam_ussh pam_vas3 pam_winbind pam_yubico
    """.split()  # noqa: SIM905 - words read better than thirty quoted strings
)
_MODULE = re.compile(r"(?:/usr)?/lib/modules/([^/]{1,100})/(.{1,300})\.ko(?:\.(?:gz|xz|zst|bz2))?")
_BUILT_MODULE = re.compile(
    r"(?:updates|extra|weak-updates|misc|dkms|kernel/drivers/(?:video|gpu)/nvidia|kernel/(?:drivers/)?(?:misc|extra|char/drm|net/(?:ena|ixgbevf)))/"
)
_STARTS_AT_BOOT = re.compile(
    r".{0,200}/(?:systemd/(?:system|user)-(?:generators|shutdown|sleep|preset)|update-motd\.d|dispatcher\.d|system-environment-generators)/"
)


def system_judgements(subject: Subject) -> Iterator[Judgement]:
    """Yield a judgement for a program in a system directory that the package database does not know."""
    if not subject.unowned or subject.known_good or subject.contained:
        return
    module = _MODULE.fullmatch(subject.inner)
    if module is not None:
        yield _module(module[1], module[2])
    elif subject.kind and SYSTEM_DIRECTORY.match(subject.inner) and not _OTHER_INSTALLERS.match(subject.inner):
        severity, reason = _importance(subject)
        where = f"lies in {subject.directory}, which packages fill, and no package brought it"
        words = f"{article(subject.kind)} {where}{reason}"
        group = Group(subject.directory, f"programs in {subject.directory} were brought by no package")
        yield Judgement(RULE, severity, words, ["T1036.005"], {}, [], group)


def _importance(subject: Subject) -> tuple[Severity, str]:
    pam = _PAM_MODULE.fullmatch(subject.inner)
    if pam is not None:
        if pam[1] in _KNOWN_PAM:
            return "low", "; a PAM module of this name is often built by hand"
        return "high", "; as a PAM module it sees every password"
    if _STARTS_AT_BOOT.match(subject.inner):
        return "medium", "; it is started by itself"
    if _KNOWN_TOOLS.fullmatch(subject.name) or (subject.kind != "script" and _KNOWN_LIBRARIES.match(subject.name)):
        return "low", "; a program of this name is often put there by hand or by a vendor"
    return ("low" if subject.kind == "script" else "medium"), ""


def _module(release: str, place: str) -> Judgement:
    built = _BUILT_MODULE.match(f"{place}/") is not None
    reason = "; modules built on the host lie there" if built else ""
    words = f"a kernel module for {release} was brought by no package{reason}"
    group = Group(f"{release}/{built}", f"kernel modules for {release} were brought by no package")
    return Judgement("unowned-kernel-module", "low" if built else "medium", words, ["T1547.006"], {}, [], group)
