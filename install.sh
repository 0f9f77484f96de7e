#!/bin/sh
# Installs, upgrades and removes logferry. POSIX sh and the base system are all it needs.
#
# Promises: the executable is replaced as a whole or not at all; a download is used only when its SHA-256 is the one in
# SHA256SUMS; the configuration and the data are never overwritten and never removed; every error says what to do.
set -eu

name=logferry
temporary=""

usage() {
	cat <<'USAGE'
usage: install.sh --from FILE                  install a local build (npm run build makes dist/logferry)
       install.sh --url BASE --version VERSION install a release: BASE/VERSION/logferry-OS-ARCH, its SHA-256
                                               checked against BASE/VERSION/SHA256SUMS
       install.sh --uninstall                  remove the executable and the service; data and configuration stay

  --root DIR   install below DIR instead of /: no user is made, no service touched (for images and tests)
  --help       this text

Puts in place:
  /usr/local/bin/logferry                   the executable
  /etc/logferry/logferry.yaml               a commented example, unless there is a configuration already
  /etc/systemd/system/logferry.service      where there is systemd
  user and group logferry, /var/lib/logferry
USAGE
}

say() { printf '%s\n' "$*"; }

# die WHAT WHAT_TO_DO
die() {
	printf 'install.sh: %s\n  %s\n' "$1" "$2" >&2
	exit 1
}

wrong_usage() {
	printf 'install.sh: %s\n  see: sh install.sh --help\n' "$1" >&2
	exit 2
}

clean_up() { [ -z "$temporary" ] || rm -rf "$temporary"; }
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

have() { command -v "$1" >/dev/null 2>&1; }

# Sets from, url, version, root, uninstall from the arguments.
read_arguments() {
	from="" url="" version="" root="" uninstall=no
	while [ $# -gt 0 ]; do
		case $1 in
		--from=* | --url=* | --version=* | --root=*)
			value=${1#*=}
			set -- "${1%%=*}" "$value" "$@"
			# The pair stands in front of the word it came from, which goes.
			option=$1
			shift 3
			set -- "$option" "$value" "$@"
			;;
		esac
		case $1 in
		--from | --url | --version | --root)
			if [ $# -lt 2 ] || [ -z "$2" ]; then wrong_usage "$1 needs a value"; fi
			case $1 in
			--from) from=$2 ;;
			--url) url=${2%/} ;;
			--version) version=$2 ;;
			--root) root=${2%/} ;;
			esac
			shift 2
			;;
		--uninstall)
			uninstall=yes
			shift
			;;
		--help | -h)
			usage
			exit 0
			;;
		*) wrong_usage "unknown argument: $1" ;;
		esac
	done
	if [ $uninstall = yes ]; then
		[ -z "$from$url$version" ] || wrong_usage "--uninstall takes no --from, --url or --version"
	elif [ -n "$from" ]; then
		[ -z "$url$version" ] || wrong_usage "either --from or --url with --version, not both"
	elif [ -z "$url" ] || [ -z "$version" ]; then
		wrong_usage "what to install is missing: --from FILE, or --url BASE --version VERSION"
	fi
	if [ -n "$root" ]; then
		[ -d "$root" ] || die "--root $root is no directory" "make it first: mkdir -p $root"
		root=$(cd "$root" && pwd)
		[ "$root" != / ] || root=""
	fi
	live=no
	[ -n "$root" ] || live=yes
}

set_places() {
	bin=$root/usr/local/bin
	executable=$bin/$name
	etc=$root/etc/$name
	config=$etc/$name.yaml
	data=$root/var/lib/$name
	units=$root/etc/systemd/system
	unit=$units/$name.service
}

require_root() {
	[ $live = no ] || [ "$(id -u)" = 0 ] || die "not run as root" "run it again with sudo, or with --root DIR to look at the result first"
}

# The release file for this machine, such as logferry-linux-x64-musl.
release_name() {
	case $(uname -s) in
	Linux) os=linux ;;
	Darwin) os=darwin ;;
	*) die "there is no release for $(uname -s)" "build it there: npm run build, then install.sh --from dist/logferry" ;;
	esac
	case $(uname -m) in
	x86_64 | amd64) arch=x64 ;;
	aarch64 | arm64) arch=arm64 ;;
	*) die "there is no release for the processor $(uname -m)" "x86_64 and arm64 are there" ;;
	esac
	libc=""
	if [ $os = linux ] && is_musl; then libc=-musl; fi
	say "$name-$os-$arch$libc"
}

is_musl() {
	for loader in /lib/ld-musl-*.so.1; do
		# A glibc system may have musl beside it; its own loader then is there, too.
		[ -e "$loader" ] || continue
		for other in /lib64/ld-linux-*.so.* /lib/ld-linux-*.so.*; do
			[ ! -e "$other" ] || return 1
		done
		return 0
	done
	return 1
}

# download URL FILE
download() {
	if have curl; then
		curl -fsSL --connect-timeout 30 -o "$2" "$1" || die "download $1 failed" "look whether the address and the version are right, and whether this host may reach it"
	elif have wget; then
		wget -q -T 30 -O "$2" "$1" || die "download $1 failed" "look whether the address and the version are right, and whether this host may reach it"
	else
		die "neither curl nor wget is there" "install one of them, or download the file elsewhere and use --from FILE"
	fi
}

digest_of() {
	if have sha256sum; then
		sha256sum "$1" | cut -d ' ' -f 1
	elif have shasum; then
		shasum -a 256 "$1" | cut -d ' ' -f 1
	elif have openssl; then
		openssl dgst -sha256 -r "$1" | cut -d ' ' -f 1
	else
		die "nothing here computes a SHA-256" "install coreutils (sha256sum) or openssl"
	fi
}

# Leaves the new executable at $temporary/logferry, on the same file system as the old one, so that a rename replaces it.
fetch_executable() {
	mkdir -p "$bin" || die "cannot make $bin" "look at the permissions of its parent"
	temporary=$(mktemp -d "$bin/.$name.XXXXXX") || die "cannot write into $bin" "look at its permissions and the free space"
	fresh=$temporary/$name
	if [ -n "$from" ]; then
		[ -f "$from" ] || die "$from is no file" "build it first: npm run build"
		cp "$from" "$fresh" || die "cannot copy $from to $bin" "look at the free space"
	else
		release=$(release_name)
		say "downloading $url/$version/$release"
		download "$url/$version/SHA256SUMS" "$temporary/SHA256SUMS"
		wanted=$(awk -v file="$release" '$2 == file || $2 == "*" file { print $1; exit }' "$temporary/SHA256SUMS")
		[ -n "$wanted" ] || die "SHA256SUMS of $version has no line for $release" "choose a version that has this file: $url"
		download "$url/$version/$release" "$fresh"
		got=$(digest_of "$fresh")
		[ "$got" = "$wanted" ] || die "the SHA-256 of $release is $got, SHA256SUMS says $wanted: nothing was changed" \
			"download again; if it stays so, the file was damaged or replaced: tell whoever runs $url"
	fi
	[ -s "$fresh" ] || die "the executable is empty" "build or download it again"
	chmod 755 "$fresh"
	# What does not start here must not take the place of what does. Below another root it may be for another machine.
	if [ $live = yes ]; then
		(unset BUN_BE_BUN BUN_OPTIONS && "$fresh" version) >/dev/null 2>"$temporary/words" || die "the new executable does not start here: $(head -n 3 "$temporary/words")" "$(start_hint)"
	fi
}

start_hint() {
	if is_musl; then
		say "on Alpine it needs libstdc++: apk add libstdc++"
	else
		say "is it the build for $(uname -s) on $(uname -m)? It needs glibc 2.17 or newer"
	fi
}

replace_executable() {
	sync "$fresh" 2>/dev/null || sync
	mv -f "$fresh" "$executable" || die "cannot replace $executable" "look at the permissions of $bin"
	say "installed  $executable"
}

make_user() {
	if [ $live = no ] || id "$name" >/dev/null 2>&1; then return 0; fi
	if have useradd; then
		useradd --system --user-group --no-create-home --home-dir "/var/lib/$name" --shell /usr/sbin/nologin "$name" || die "cannot make the user $name" "make it by hand and run this again"
	elif have adduser && have addgroup; then
		addgroup -S "$name" 2>/dev/null || true
		adduser -S -D -H -h "/var/lib/$name" -s /sbin/nologin -G "$name" "$name" || die "cannot make the user $name" "make it by hand and run this again"
	else
		say "note       no useradd here: run logferry as a user of your choice"
		return 0
	fi
	say "made       user and group $name"
}

make_folders() {
	mkdir -p "$etc" "$data"
	chmod 755 "$etc"
	chmod 750 "$data"
	if [ $live = yes ] && id "$name" >/dev/null 2>&1; then chown "$name:$name" "$data"; fi
}

write_config() {
	print_example >"$temporary/example"
	chmod 640 "$temporary/example"
	if [ $live = yes ] && id "$name" >/dev/null 2>&1; then chown "root:$name" "$temporary/example"; fi
	if [ ! -e "$config" ] && [ ! -L "$config" ]; then
		mv "$temporary/example" "$config"
		fresh_config=yes
		say "installed  $config (an example: edit it)"
	else
		fresh_config=no
		if [ -f "$config" ] && cmp -s "$temporary/example" "$config"; then
			say "kept       $config"
		else
			mv -f "$temporary/example" "$config.new"
			say "kept       $config as it is; the example of this version is $config.new"
		fi
	fi
}

write_unit() {
	if [ $live = yes ] && [ ! -d /run/systemd/system ]; then
		say "note       no systemd here: let your supervisor run $executable run --config $config"
		return 0
	fi
	mkdir -p "$units"
	print_unit >"$temporary/unit"
	chmod 644 "$temporary/unit"
	mv -f "$temporary/unit" "$unit"
	say "installed  $unit"
	[ $live = yes ] || return 0
	systemctl daemon-reload
	if systemctl is-active --quiet "$name"; then
		systemctl restart "$name" || die "the service does not come back" "journalctl -u $name says why; the data is safe in the spool"
		say "restarted  $name.service"
	fi
}

next_steps() {
	[ $live = yes ] || return 0
	[ $fresh_config = yes ] || return 0
	say ""
	say "next:  edit $config"
	say "       $name check"
	if [ -e "$unit" ]; then say "       systemctl enable --now $name"; fi
}

run_install() {
	fetch_executable
	replace_executable
	make_user
	make_folders
	write_config
	write_unit
	next_steps
}

run_uninstall() {
	if [ $live = yes ] && [ -d /run/systemd/system ] && [ -e "$unit" ]; then
		systemctl disable --now "$name" || die "the service cannot be stopped" "journalctl -u $name says why"
	fi
	if [ ! -e "$unit" ] && [ ! -e "$executable" ]; then say "note       there is no $executable: nothing to remove"; fi
	for path in "$unit" "$executable"; do
		if [ -e "$path" ]; then
			rm -f "$path" || die "cannot remove $path" "look at its permissions"
			say "removed    $path"
		fi
	done
	if [ $live = yes ] && [ -d /run/systemd/system ]; then systemctl daemon-reload; fi
	for path in "$config" "$data"; do
		if [ -e "$path" ]; then say "kept       $path"; fi
	done
	if [ $live = yes ] && id "$name" >/dev/null 2>&1; then say "kept       user $name, who owns the data"; fi
}

print_example() {
	cat <<'CONFIG'
# Configuration of logferry. After an edit: logferry check, then systemctl reload logferry.
# Sizes are written 512KiB or 2GiB, durations 250ms, 30s or 1h5m. ${NAME} and ${NAME:-default} come from the environment,
# which the service reads from /etc/logferry/environment.

# The durable spool on local disk: what could not be delivered yet waits here.
spool:
  dir: /var/lib/logferry
  max_bytes: 2GiB
  # block: sources wait while it is full. drop_oldest: the oldest goes, counted.
  when_full: block

sources:
  system:
    type: file
    include: ["/var/log/*.log"]
    # labels: { env: prod }

  # What senders post here, such as another logferry, is stored before it is answered.
  # ingest:
  #   type: http
  #   listen: 0.0.0.0:8471
  #   bearer_token_file: /etc/logferry/ingest.token

sinks:
  # Files on this host, a first thing to look at. Any other folder has to be opened to the service:
  # systemctl edit logferry, [Service] ReadWritePaths=/srv/logs
  local:
    type: directory
    dir: /var/lib/logferry/delivered

  # S3 or what speaks it. Credentials: the standard AWS chain, or two files.
  # lake:
  #   type: s3
  #   bucket: logs
  #   region: eu-west-1
  #   prefix: raw/
  #   partition: "source={source}/date=%Y-%m-%d/hour=%H"
  #   access_key_id_file: /etc/logferry/s3.id
  #   secret_access_key_file: /etc/logferry/s3.key

  # A receiver of NDJSON over HTTP, such as another logferry.
  # central:
  #   type: http
  #   url: https://ingest.example.com/v1/records
  #   bearer_token_file: /etc/logferry/central.token

# How it is doing: curl http://127.0.0.1:8470/health
control:
  listen: 127.0.0.1:8470
CONFIG
}

print_unit() {
	# A group that is not there would keep the service from starting.
	groups=""
	if [ $live = no ] || grep -q '^adm:' /etc/group 2>/dev/null; then groups="SupplementaryGroups=adm"; fi
	cat <<UNIT
# Written by install.sh and again at every upgrade: your changes belong into \`systemctl edit $name\`.
[Unit]
Description=logferry, ships logs to S3 and HTTP
Wants=network-online.target
After=network-online.target
# It comes back for as long as it takes.
StartLimitIntervalSec=0

[Service]
Type=exec
ExecStart=/usr/local/bin/$name run --config /etc/$name/$name.yaml
ExecReload=/bin/kill -HUP \$MAINPID
Restart=always
RestartSec=5s
# A wrong configuration (2) does not mend itself.
RestartPreventExitStatus=2
# Above drain_timeout (30s): raise both together.
TimeoutStopSec=45s

User=$name
Group=$name
# Reads what syslog and many packages write for the group adm. For files of root alone, by \`systemctl edit $name\`:
# CapabilityBoundingSet=CAP_DAC_READ_SEARCH and AmbientCapabilities=CAP_DAC_READ_SEARCH
$groups
StateDirectory=$name
StateDirectoryMode=0750
UMask=0027
LimitNOFILE=65536

# These would make the executable run other code than its own.
UnsetEnvironment=BUN_BE_BUN BUN_OPTIONS
EnvironmentFile=-/etc/$name/environment

# Folders that a directory sink writes to are opened by ReadWritePaths=.
ProtectSystem=strict
ProtectHome=read-only
PrivateTmp=yes
PrivateDevices=yes
NoNewPrivileges=yes
CapabilityBoundingSet=
LockPersonality=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
RemoveIPC=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
# No MemoryDenyWriteExecute: the runtime compiles while it runs.

[Install]
WantedBy=multi-user.target
UNIT
}

# Everything above is read before the first step, so that a half downloaded script does nothing.
main() {
	read_arguments "$@"
	set_places
	require_root
	if [ $uninstall = yes ]; then run_uninstall; else run_install; fi
}

main "$@"
