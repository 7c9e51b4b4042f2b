# SPDX-License-Identifier: MIT OR Apache-2.0
#
# Packages of other suites, unpacked and never installed. To be sourced after
# lib.sh. apt's state is a directory of our own: the machine's package lists
# and its sources stay as they are.

# Makes apt see exactly suites $2 (comma separated), with its state in $1.
apt_use() {
	local dir=$1 suite uri
	mkdir -p "$dir"/lists/partial "$dir"/archives/partial
	: >"$dir/status"
	for suite in ${2//,/ }; do
		uri=$(apt_mirror "$suite")
		[ -n "$uri" ] || die "this machine's apt has no mirror for suites like '$suite' (apt-get indextargets)"
		echo "deb [target=Packages signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $uri $suite main"
	done >"$dir/sources.list"
	cat >"$dir/apt.conf" <<-EOF
		Dir::Etc::sourcelist "$dir/sources.list";
		Dir::Etc::sourceparts "/dev/null";
		Dir::State "$dir";
		Dir::State::status "$dir/status";
		Dir::Cache "$dir";
		Acquire::Languages "none";
		Acquire::Retries "3";
		APT::Sandbox::User "root";
	EOF
	export APT_CONFIG=$dir/apt.conf
	apt-get -qq update >"$dir/log" 2>&1 || die "cannot get the package index of $2: $(tail -n1 "$dir/log")"
}

# The archive that serves suite $1: security suites have one of their own.
apt_mirror() {
	APT_CONFIG='' apt-get indextargets --format '$(REPO_URI) $(RELEASE)' 'Identifier: Packages' 'Origin: Debian' |
		awk -v want="$1" '($2 ~ /-security$/) == (want ~ /-security$/) && !seen++ { print $1 }'
}

# Unpacks packages (NAME or NAME=VERSION) into directory $1.
apt_unpack() {
	local into=$1 deb
	shift
	rm -rf "$into.debs"
	mkdir -p "$into" "$into.debs"
	(cd "$into.debs" && apt-get -qq download "$@" >log 2>&1) ||
		die "cannot download $*: $(tail -n1 "$into.debs/log")"
	for deb in "$into.debs"/*.deb; do
		dpkg-deb -x "$deb" "$into"
	done
	rm -rf "$into.debs"
}

# Unpacks paths (files or directories) of kernel $1's tree, as Debian ships its
# source (6.1, 6.12, 7.3), into directory $2. The tarball stays in the cache.
kernel_source() {
	local name=linux-source-$1 into=$2 suites=bookworm,bookworm-security tar
	[[ $1 != 7.* ]] || suites=trixie,trixie-backports
	tar=$cache/source/$name.tar.xz
	shift 2
	if [ ! -s "$tar" ]; then
		echo "fetch $name" >&2
		apt_use "$cache/apt/source" "$suites"
		apt_unpack "$cache/source/$name.partial" "$name"
		mv "$cache/source/$name.partial/usr/src/$name.tar.xz" "$tar"
		rm -rf "$cache/source/$name.partial"
	fi
	mkdir -p "$into"
	tar -xJf "$tar" -C "$into" --strip-components=1 "${@/#/$name/}" || die "$name has no $*"
}
