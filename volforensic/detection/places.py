"""Places and names where a program has no business to be, and those where hidden ones are ordinary.

The lists come from how distributions and developers' tools lay out files; a name that is not on them costs a medium
finding, so they are long on purpose. What malware did with names and places: MITRE ATT&CK T1036.005 and T1564.001.
"""

import re

TEMPORARY_DIRECTORIES = ("/tmp/", "/var/tmp/", "/dev/shm/", "/run/shm/")  # noqa: S108 - places to look at, not to write
"""Directories that every account may write to."""

_CONTAINER_ROOT = re.compile(
    r"(?!/(?:tmp|var/tmp|dev|run)/)(?:/[^/]{1,255}){1,7}?/"
    r"(?:docker/(?:overlay2?|aufs/diff|btrfs/subvolumes|vfs/dir)/[0-9a-z-]{1,80}(?:/(?:diff|merged|root))?"
    r"|containers/storage/(?:overlay|vfs/dir)/[0-9a-f]{1,80}(?:/(?:diff|merged))?"
    r"|(?:containerd/(?:daemon/)?)?io\.containerd\.snapshotter\.v1\.[a-z]{1,20}/snapshots/[0-9]{1,12}/fs"
    r"|lxc/[^/]{1,255}/rootfs|storage-pools/[^/]{1,255}/(?:containers|images)/[^/]{1,255}(?:/rootfs)?"
    r"|lib/machines/[^/]{1,255})(?=/)"
)
"""Where Docker, Podman, containerd (also of k3s and kubelet), LXC, LXD and systemd-nspawn keep a container's root."""

_MAY_BE_CONTAINED = re.compile(r"/(?:docker|containers|io\.containerd[^/]{1,60}|lxc|storage-pools|machines)/")
"""What every path has that the expression above matches: it is asked of each row of the inventory."""

_PRIVATE = re.compile(
    r"(?:/var)?/tmp/(?:systemd-private-[0-9a-f]{16,40}-[^/]{1,255}|snap-private-tmp/snap\.[^/]{1,200})/tmp/"
)
"""What a service with PrivateTmp= (systemd.exec(5)) or a snap has as its /tmp."""

_BUILD_LEFTOVER = re.compile(
    r"(?:go-build|go-link-|pip-|build-env-|npm-|yarn--|rustc|cargo-install|cc[A-Za-z0-9]{6}\.|conftest|mkinitramfs|dracut"
    r"|dkms|apt-|dpkg|rpm-tmp|yum-|dnf-|pear|node-compile-cache|bazel|nix-build-|portage|pyright-|matplotlib-|jna-|hsperf"
    r"|bundler|gem-|composer|phpunit|pytest-of-|ansible|packer|tmux-|screen)"
)
"""Beginnings of names that builds, package managers and provisioning leave in temporary directories."""

_ORDINARY_ANYWHERE = frozenset(
    """
    .bare .bin .build .build-id .bundle .bzr .cargo .ccache .ci .circleci .conda .deps .devcontainer .direnv
    .dpkg .dracut .eggs .eslint .git .gitea .github .gitlab .gradle .hg .husky .idea .ipynb_checkpoints .libs
    .m2 .modules .mvn .next .nox .npm .nuxt .nx .objs .output .packages .parcel-cache .pip .pnp .pnpm
    .pnpm-store .pytest_cache .repo .serverless .snapshot .snapshots .store .svelte-kit .svn .terraform
    .terragrunt-cache .tmp_versions .tox .turbo .venv .virtualenv .vite .vscode .yarn .zfs
    """.split()  # noqa: SIM905 - words read better than two hundred quoted strings
)
"""Hidden directories of builds, version control and package managers: ordinary wherever source or a web root lies."""

_ORDINARY_AT_HOME = _ORDINARY_ANYWHERE | frozenset(
    """
    .JetBrains .SpaceVim .acme.sh .actions-runner .airflow .amplify .anaconda3 .android .ansible .antidote
    .antigen .aptly .arduino15 .arkade .asdf .atom .atuin .aws .aws-sam .azure .bash-it .bash_completion.d
    .bash_it .basher .bazel .berkshelf .bpkg .buildkite-agent .bun .byobu .cabal .cache .chalice .chef .chezmoi
    .choosenim .claude .clojure .cloudflared .cocoapods .codeium .codemod .codeql .codex .colima .config
    .console .continue .copilot .cpan .cpan-plus .cpanm .cpanplus .cursor .cursor-server .cxx .dagger .dapr
    .dart .dbt .ddev .deno .deployer .devpod .discourse .docker .docksal .doom.d .dotfiles .dotnet .drone
    .dropbox-dist .drush .dub .dvm .dylibs .earthly .ebcli-virtual-env .eclipse .elan .elm .emacs.d .ethereum
    .evm .expo .factory .fleet .fly .fnm .forever .foundry .fzf .fzf-tab .gem .gem-home .gems .ghcup
    .git-hooks .git-template .git-templates .githooks .gitkraken .gitlab-runner .gnupg .gobrew .goenv
    .google-cloud-sdk .gphoto .gradle-wrapper .guix-profile .gvm .hatch .helm .hermit .heroku .homebrew
    .homeshick .homesick .hunter .idris2 .ipython .istioctl .iterm2 .ivy2 .jabba .java .jbang .jdks .jenkins
    .jenv .jetbrains .julia .juliaup .jupyter .k9s .kerl .kiex .konan .krew .kube .kubectx .kubie .kui
    .lando .lean .lein .linkerd .linkerd2 .linuxbrew .local .luarocks .mamba .maven .meltano .meteor
    .micromamba .miniconda .miniconda3 .miniforge3 .minikube .minio .mise .mix .modular .mono .moonrepo .mozilla
    .msf4 .mvnvm .n .nano .netlify .nimble .nix-defexpr .nix-portable .nix-profile .nodebrew .nodeenv .nodenv
    .nomad.d .npm-global .npm-packages .nuclei .nuget .nvim .nvm .nvs .oci .oh-my-bash .oh-my-fish .oh-my-posh
    .oh-my-zsh .okteto .ollama .opam .opencode .opentofu .orbstack .packer.d .pdm .pdtm .perlbrew .pex .pgenv
    .phpbrew .phpenv .pip .pipx .pixi .pkgx .platformio .platformsh .plenv .pm2 .poetry .poshthemes .prefect
    .profiling .proto .pub-cache .pulumi .puppetlabs .pwsh .pyenv .pyenv-root .pyenv-virtualenv .pypoetry
    .python-eggs .qt .quicklisp .racket .railway .rakudobrew .rancher .rbenv .rclone .rebar3 .redhat .restic
    .roswell .rustdesk .rustup .rvm .rye .sbcl .sbt .scalingo .sdkman .semgrep .setuptools .shiv .skaffold .snyk
    .solana .sonar .sops .spack .spicetify .spyder-py3 .stack .starship .steam .steampipe .superset .swiftenv
    .swiftpm .swtpm .symfony .symfony-cli .symfony5 .symfony6 .tabnine .tanzu .terraform-plugin-cache
    .terraform.d .terraform.versions .tfenv .tfswitch .tgenv .tgswitch .thefuck .tilt-dev .tiup .tkn .tmux
    .tofuenv .travis .trivy .tsh .unison .upsun .uv .vagrant.d .valet .vercel .version-fox .vfox .vim .vimplug
    .virtualenvs .volta .vscode-insiders .vscode-oss .vscode-remote .vscode-server .vscode-server-insiders
    .warden .wasmer .wasmtime .windsurf .windsurf-server .wine .woodpecker .wp-cli .wp-env .wrangler .yadm
    .yarn-cache .zed_server .zgen .zgenom .zshrc.d
    .zi .zim .zinit .zplug .zprezto .zsh .zsh.d .zsh_plugins
    """.split()  # noqa: SIM905 - words read better than two hundred quoted strings
)
"""Hidden directories that tools make in a home and put programs into."""

_HOMES = re.compile(
    r"/(?:root|home/[^/]+|var/lib/[^/.][^/]*|var/www|opt|srv|data|app|workspace|usr/src|snap/[^/]+|export|mnt|media)/"
)
"""Where accounts and deployed applications keep dot directories of their own; services have a home in /var/lib."""

_KERNEL_THREAD = re.compile(
    r"\[[a-z][a-z0-9_]{1,24}(?:[/:-][A-Za-z0-9_:/+-]{1,24})?\]"
    r"|kworker(?:/u?[0-9]{1,4}:[0-9]{1,4}H?(?:[+-][a-z0-9_-]{1,32})?)?"
    r"|(?:ksoftirqd|migration|cpuhp|idle_inject)/[0-9]{1,4}|(?:kswapd|kcompactd)[0-9]{1,4}"
    r"|ksoftirqd|kswapd|kcompactd|kthreadd|kdevtmpfs|khugepaged|khungtaskd|kintegrityd|kblockd|kauditd|kthrotld"
)
"""Names as ps(1) shows them: kthreads have no command line, so it puts brackets around what it knows."""
_KERNEL_THREAD_IMITATION = re.compile(
    r"\.(?:kworker|ksoftirqd|kswapd|kthreadd|kdevtmpfs|khugepaged|kauditd|kblockd|kintegrityd)[0-9]{0,4}"
    r"|kworker[-_:.]?u?[0-9]{1,4}(?:[-_:.][0-9]{1,4}H?)?|ksoftirqd[-_:.]?[0-9]{1,4}"
    r"|(?:kthreadd|kblockd|kauditd|kintegrityd|khugepaged|khungtaskd|kdevtmpfs|kthrotld)[-_:.]?[0-9]{1,4}"
    r"|kworkerds?|kthreaddk|kthreadds?|kthreaddi|kdevtmpfsi|kswapd[0-9]?s|kerberods|ksoftriqd[s0-9]{0,2}|kdevchecker"
    r"|kdmflush|kdmtmpflush(?:i|d)?|khugepageds|kauditds|kinsmod"
)
"""What malware called itself to pass for one: kinsing's kdevtmpfsi, the kworkerds and kerberods of Rocke, and kin."""


def inside_container(path: str) -> tuple[str, bool]:
    """Return the path as a container saw it and True; the path itself and False where it is no container's file."""
    match = _CONTAINER_ROOT.match(path) if _MAY_BE_CONTAINED.search(path) else None
    return (path[match.end() :], True) if match else (path, False)


def temporary_directory(path: str) -> str | None:
    """Return the temporary directory that the path lies in, with its closing slash; also a service's private one."""
    if private := _PRIVATE.match(path):
        return private[0]
    return next((directory for directory in TEMPORARY_DIRECTORIES if path.startswith(directory)), None)


def temporary_tree(path: str) -> str | None:
    """Return the visible directory right below /tmp or /var/tmp that the path lies in, with its closing slash."""
    inner, _ = inside_container(path)
    directory = temporary_directory(inner)
    if directory is None or directory.endswith("/shm/"):
        return None
    name, slash, _ = inner[len(directory) :].partition("/")
    if not slash or not name or name.startswith("."):
        return None
    return f"{path[: len(path) - len(inner)]}{directory}{name}/"


def is_leftover_tree(tree: str) -> bool:
    """Say whether a tree's name begins like what builds and provisioning leave."""
    inner, _ = inside_container(tree)
    return is_build_leftover(inner, temporary_directory(inner) or "/")


def is_build_leftover(path: str, directory: str) -> bool:
    """Say whether a path in a temporary directory begins like what builds and provisioning leave there."""
    return _BUILD_LEFTOVER.match(path, len(directory)) is not None


def hidden_part(path: str) -> str | None:
    """Return the first hidden name of the path that is no ordinary one: a directory or, outside homes, the file."""
    if "/." not in path:
        return None
    at_home = _HOMES.match(path) is not None
    ordinary = _ORDINARY_AT_HOME if at_home else _ORDINARY_ANYWHERE
    *directories, name = path.split("/")
    hidden = [directory for directory in directories if directory.startswith(".")]
    for directory in hidden:
        if directory not in ordinary:
            return directory
    return name if name.startswith(".") and not hidden and not at_home else None


def kernel_thread_name(name: str) -> str:
    """Return "has" where a name is that of a kernel thread, "imitates" where it is nearly one, else nothing."""
    if _KERNEL_THREAD.fullmatch(name):
        return "has"
    return "imitates" if _KERNEL_THREAD_IMITATION.fullmatch(name) else ""
