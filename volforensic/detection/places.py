"""Places and names where a program has no business to be, and those where hidden ones are ordinary.

The lists come from how distributions and developers' tools lay out files; a name that is not on them costs a medium
finding, so they are long on purpose. What malware did with names and places: MITRE ATT&CK T1036.005 and T1564.001.
"""

import re

TEMPORARY_DIRECTORIES = ("/tmp/", "/var/tmp/", "/dev/shm/", "/run/shm/")  # noqa: S108 - places to look at, not to write
"""Directories that every account may write to."""

_CONTAINER_ROOT = re.compile(
    r"/var/lib/(?:docker/(?:overlay2?|aufs/diff|btrfs/subvolumes|vfs/dir)/[0-9a-z-]{1,80}(?:/(?:diff|merged|root))?"
    r"|containers/storage/(?:overlay|vfs/dir)/[0-9a-f]{1,80}(?:/(?:diff|merged))?"
    r"|containerd/io\.containerd\.snapshotter\.v1\.[a-z]{1,20}/snapshots/[0-9]{1,12}/fs)(?=/)"
)

_BUILD_LEFTOVER = re.compile(
    r"(?:go-build|go-link-|pip-|build-env-|npm-|yarn--|rustc|cargo-install|cc[A-Za-z0-9]{6}\.|conftest|mkinitramfs|dracut"
    r"|dkms|apt-|dpkg|rpm-tmp|yum-|dnf-|pear|node-compile-cache|bazel|nix-build-|portage|pyright-|matplotlib-|jna-|hsperf"
    r"|bundler|gem-|composer|phpunit|pytest-of-|ansible|packer|tmux-|screen|systemd-private-|snap-private-tmp)"
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
    .acme.sh .android .ansible .antigen .arduino15 .asdf .atom .aws .aws-sam .azure .bash_it .bazel .berkshelf
    .bun .byobu .cabal .cache .chef .claude .clojure .cocoapods .codeium .codex .config .continue .copilot .cpan
    .cpanm .cpanplus .cursor .cursor-server .cxx .dapr .dart .deno .discourse .docker .dotnet .dropbox-dist
    .dylibs .eclipse .elan .emacs.d .ethereum .expo .factory .fly .fnm .foundry .fzf .fzf-tab .gem .gems .ghcup
    .gnupg .goenv .google-cloud-sdk .gphoto .guix-profile .helm .hermit .homebrew .hunter .ipython .iterm2 .ivy2
    .java .jbang .jdks .jenkins .jenv .julia .jupyter .k9s .konan .krew .kube .lein .linkerd2 .linuxbrew .local
    .luarocks .maven .meteor .minikube .mise .mix .mozilla .n .nano .netlify .nix-defexpr .nix-profile .nodenv
    .npm-global .npm-packages .nuget .nvim .nvm .oci .oh-my-bash .oh-my-fish .oh-my-zsh .ollama .opam .opencode
    .pdtm .perlbrew .phpbrew .phpenv .pipx .pixi .pkgx .platformio .plenv .pm2 .poetry .profiling .proto
    .pub-cache .pulumi .puppetlabs .pwsh .pyenv .pyenv-virtualenv .python-eggs .qt .rancher .rbenv .rebar3
    .rustup .rvm .rye .sbt .sdkman .setuptools .solana .sonar .spack .spicetify .spyder-py3 .stack .starship
    .steam .swiftpm .swtpm .symfony .symfony-cli .symfony5 .tabnine .tfenv .tgenv .thefuck .tkn .tmux .travis
    .unison .uv .vagrant.d .vim .vimplug .virtualenvs .volta .vscode-insiders .vscode-oss .vscode-remote
    .vscode-server .vscode-server-insiders .wasmer .wasmtime .windsurf-server .wine .wp-cli .yadm .zed_server
    .zi .zim .zinit .zplug .zprezto .zsh .zsh.d .zsh_plugins
    """.split()  # noqa: SIM905 - words read better than two hundred quoted strings
)
"""Hidden directories that tools make in a home and put programs into."""

_HOMES = re.compile(
    r"/(?:root|home/[^/]+|var/lib/[^/.][^/]*|var/www|opt|srv|data|app|workspace|usr/src|snap/[^/]+|export|mnt|media)/"
)
"""Where accounts and deployed applications keep dot directories of their own; services have a home in /var/lib."""

_KERNEL_THREAD = re.compile(
    r"\.?(?:\[[a-z][a-z0-9_:/-]{2,30}\]"
    r"|\[?(?:kworker|ksoftirqd|ksoftriqd|kthreadd|kswapd|kdevtmpfs|khugepaged|khungtaskd|kintegrityd|kblockd|kauditd"
    r"|kcompactd|kthrotld|kerberods|kdevchecker|kdmflush|kdmtmpflush)[a-z0-9_:./-]{0,16}\]?)"
)


def inside_container(path: str) -> tuple[str, bool]:
    """Return the path as a container saw it and True; the path itself and False where it is no container's file."""
    match = _CONTAINER_ROOT.match(path)
    return (path[match.end() :], True) if match else (path, False)


def temporary_directory(path: str) -> str | None:
    """Return the temporary directory that the path lies in, with its closing slash."""
    return next((directory for directory in TEMPORARY_DIRECTORIES if path.startswith(directory)), None)


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


def is_kernel_thread_name(name: str) -> bool:
    """Say whether a file has a name that only kernel threads have, or nearly that."""
    return _KERNEL_THREAD.fullmatch(name) is not None
