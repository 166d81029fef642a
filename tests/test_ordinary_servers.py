"""What ordinary servers hold that no package brought: nothing of it may be graver than low."""

import pytest
from file_rows import DIRECTORY, LIBRARY, OWNED, SCRIPT, TEXT, UNOWNED, file, judged

from volforensic.record import Row

GO: Row = {"elf": {"linkage": "static", "stripped": True, "go": {"version": "go1.22"}}}
MUSL: Row = {"elf": {"linkage": "static", "stripped": True}}
UPX: Row = {"elf": {"linkage": "static", "stripped": True, "packer": {"name": "UPX", "confidence": "certain"}}}
WEB: Row = {"uid": 33, "gid": 33}
LAYER = "/var/lib/docker/overlay2/0f1e2d3c/diff"

ORDINARY: dict[str, list[tuple[str, Row]]] = {
    "Amazon Linux with its agents": [
        ("/opt/aws/bin/cfn-init", SCRIPT),
        ("/opt/aws/amazon-cloudwatch-agent/bin/amazon-cloudwatch-agent", GO),
        ("/opt/aws/bin/eic_run_authorized_keys", SCRIPT),
        ("/usr/local/aws-cli/v2/2.15.30/dist/aws", {"uid": 1001}),
        ("/usr/local/aws-cli/v2/2.15.30/dist/libssl.so.1.1", LIBRARY),
        ("/usr/bin/kubelet", GO),
        ("/usr/bin/nerdctl", GO),
        ("/usr/bin/aws-iam-authenticator", GO),
        ("/etc/eks/bootstrap.sh", SCRIPT),
        ("/opt/cni/bin/bridge", GO),
        ("/var/lib/amazon/ssm/i-0ab/document/orchestration/1/awsrunShellScript/0/_script.sh", SCRIPT),
        ("/var/lib/cloud/instances/i-0ab/scripts/part-001", SCRIPT),
        ("/var/lib/cloud/instance/user-data.txt", TEXT),
        ("/opt/codedeploy-agent/deployment-root/a/d-1/deployment-archive/run.sh", SCRIPT),
    ],
    "Ubuntu with snaps": [
        ("/var/lib/snapd/snap/bin/x", {}),
        ("/snap/amazon-ssm-agent/7993/amazon-ssm-agent", GO),
        ("/snap/core22/1/usr/bin/sudo", {"mode": 0o4755}),
        ("/var/snap/lxd/common/lxd/storage-pools/default/containers/c1/rootfs/usr/sbin/sshd", {}),
        ("/var/snap/lxd/common/lxd/storage-pools/default/containers/c1/rootfs/bin/su", {"mode": 0o4755}),
        ("/usr/lib/snapd/snap-confine", {"mode": 0o4755, "package": OWNED}),
    ],
    "Docker and Kubernetes": [
        (f"{LAYER}/usr/sbin/nginx", {}),
        (f"{LAYER}/bin/su", {"mode": 0o4755}),
        (f"{LAYER}/usr/local/bin/docker-entrypoint.sh", SCRIPT),
        (f"{LAYER}/etc/shadow", {**TEXT, "uid": 999}),
        (f"{LAYER}/var/lib/app/x", {"type": "character_device", "device": [0, 0], "mime": None}),
        (f"{LAYER}/usr/bin/ping", {"capabilities": "cap_net_raw=ep"}),
        (f"{LAYER}/dev/null", TEXT),
        ("/var/lib/docker/volumes/db/_data/pg_hba.conf", {**TEXT, "uid": 999}),
        ("/var/lib/kubelet/pods/ab/volumes/kubernetes.io~configmap/c/..data", DIRECTORY),
        ("/var/lib/kubelet/pods/ab/volumes/kubernetes.io~configmap/c/..2024_05_01_10_11_12.345", DIRECTORY),
        ("/var/lib/kubelet/plugins/x/csi-driver", {**GO, "uid": 65532}),
        ("/var/lib/rancher/k3s/data/ab/bin/containerd", GO),
        ("/usr/local/bin/k3s", UPX),
        ("/usr/libexec/kubernetes/kubelet-plugins/volume/exec/x", SCRIPT),
        ("/home/bob/.local/share/containers/storage/overlay/ab12/diff/sbin/agetty", {}),
    ],
    "Node.js and PHP applications": [
        ("/home/deploy/.nvm/versions/node/v20.11.0/bin/node", {"uid": 1000}),
        ("/home/deploy/.pm2/modules/pm2-logrotate/node_modules/.bin/semver", {**SCRIPT, "uid": 1000}),
        ("/home/deploy/app/node_modules/@esbuild/linux-x64/bin/esbuild", {**GO, "uid": 1000}),
        ("/home/deploy/app/node_modules/sharp/build/Release/sharp.node", {**LIBRARY, "uid": 1000}),
        ("/usr/lib/node_modules/npm/bin/npm-cli.js", SCRIPT),
        ("/usr/local/bin/node", {"capabilities": "cap_net_bind_service=ep"}),
        ("/usr/bin/composer", SCRIPT),
        ("/var/www/html/wp-content/uploads/2024/05/photo.jpg", {**TEXT, **WEB, "mime": "image/jpeg"}),
        ("/var/www/html/wp-content/plugins/x/lib/tool.php", {**SCRIPT, **WEB, "mime": "text/x-php"}),
        ("/var/www/html/wp-admin/index.php", {**SCRIPT, **WEB, "mime": "text/x-php", "mode": 0o755}),
        ("/var/www/html/.git/hooks/pre-commit.sample", {**SCRIPT, **WEB}),
        ("/var/www/laravel/vendor/bin/phpunit", {**SCRIPT, **WEB}),
        ("/var/www/rails/shared/bundle/ruby/3.2.0/gems/nokogiri/lib/nokogiri.so", {**LIBRARY, **WEB}),
        ("/var/www/go/bin/server", {**GO, **WEB}),
        ("/www/wwwroot/shop/.user.ini", {**TEXT, "attributes": ["immutable"]}),
    ],
    "Jenkins, GitLab, databases": [
        ("/var/lib/jenkins/workspace/build/target/app", {"uid": 112}),
        ("/var/lib/jenkins/tools/hudson.model.JDK/jdk17/bin/java", {"uid": 112}),
        ("/opt/gitlab/embedded/bin/postgres", {}),
        ("/opt/gitlab/embedded/sbin/nginx", {}),
        ("/opt/gitlab/embedded/bin/redis-server", {}),
        ("/var/opt/gitlab/git-data/repositories/a.git/hooks/pre-receive", {**SCRIPT, "uid": 998}),
        ("/var/lib/postgresql/15/main/base/1/1259", {**TEXT, "uid": 110, "mime": "application/octet-stream"}),
        ("/var/lib/mysql/ibdata1", {**TEXT, "uid": 113, "mime": "application/octet-stream"}),
        ("/opt/splunkforwarder/bin/splunkd", {"uid": 10777}),
        ("/opt/CrowdStrike/falcon-sensor", {}),
        ("/opt/datadog-agent/embedded/bin/system-probe", {"capabilities": "cap_sys_admin,cap_sys_ptrace=ep"}),
        ("/opt/microsoft/mdatp/sbin/wdavdaemon", {}),
        ("/usr/lib/nagios/plugins/check_custom", SCRIPT),
        ("/usr/local/nagios/libexec/check_icmp", {"mode": 0o4555}),
    ],
    "administrators' own": [
        ("/usr/local/bin/backup", SCRIPT),
        ("/usr/local/bin/node_exporter", {**GO, "uid": 3434}),
        ("/usr/local/sbin/sshd", {}),
        ("/usr/bin/yq", UPX),
        ("/usr/bin/report-daily", SCRIPT),
        ("/root/bin/tool", MUSL),
        ("/usr/local/lib/libjemalloc.so.2", LIBRARY),
        ("/lib/modules/6.1.0-31-amd64/updates/dkms/nvidia.ko", LIBRARY),
        ("/usr/lib64/libnvidia-ml.so.535.104", LIBRARY),
        ("/usr/bin/nvidia-smi", {}),
        ("/boot/grub/x86_64-efi/normal.mod", {**LIBRARY, "mime": "application/x-object"}),
        ("/etc/resolv.conf", {**TEXT, "attributes": ["immutable"]}),
        ("/etc/passwd", {**TEXT, "attributes": ["immutable"]}),
        ("/var/log/audit/audit.log", {**TEXT, "attributes": ["append_only"]}),
        ("/var/log/journal/ab/system.journal", {**TEXT, "attributes": ["no_copy_on_write"]}),
        ("/usr/local/src/nginx-1.25.4/objs/nginx", {"uid": 1001}),
        ("/home/bob/Downloads/Rechnung für Müller .pdf", {**TEXT, "mime": "application/pdf", "uid": 1000}),
        ("/var/spool/postfix/dev/urandom", {"type": "character_device", "device": [1, 9], "mime": None}),
        ("/usr/lib/python3/dist-packages/__pycache__/six.cpython-311.pyc", TEXT),
        ("/usr/lib/x86_64-linux-gnu/gconv/gconv-modules.cache", TEXT),
        ("/usr/sbin/policy-rc.d", SCRIPT),
    ],
}  # fmt: skip


@pytest.mark.parametrize("kind", ORDINARY)
@pytest.mark.parametrize("package", [UNOWNED, None])
def test_ordinary_files_of(kind: str, package: Row | None) -> None:
    claimed = [file(f"/usr/bin/tool{number}", package=OWNED) for number in range(100)]
    rows = [file(path, **{"package": package} | facts) for path, facts in ORDINARY[kind]]
    grave = [one for one in judged(*claimed, *rows) if one.severity not in {"low", "info"}]
    assert [(one.rule, one.severity, one.path) for one in grave] == []
