# shellcheck shell=bash disable=SC2034
# Sourced by the scripts beside it, after cross/target.sh: small Debians to install packages in. Needs root.

readonly WORK=$PWD/$CACHE/lifecycle

# base KIND PACKAGE…: a small Debian with these packages as an archive, made once.
base() {
    local archive=$WORK/$1.tar suite mirror include
    shift
    include=$(IFS=, && echo "ca-certificates${*:+,$*}")
    [ ! -e "$archive" ] || return 0
    mkdir -p "$WORK"
    # shellcheck disable=SC2016 # apt's variables, not ours
    read -r suite mirror < <(apt-get indextargets --format '$(CODENAME) $(REPO_URI)' 'Created-By: Packages' \
        'Origin: Debian' 'Label: Debian' | grep -v -- - | sort -u)
    rm -rf "$WORK/root"
    debootstrap --variant=minbase --include="$include" "$suite" "$WORK/root" "$mirror" >"$WORK/debootstrap.log" ||
        die "debootstrap failed, see $WORK/debootstrap.log"
    tar -C "$WORK/root" -cf "$archive.new" .
    mv "$archive.new" "$archive"
}

# unpack KIND: sets `root`, a fresh copy of that Debian.
unpack() {
    root=$WORK/root
    rm -rf "$root"
    mkdir "$root"
    tar -C "$root" -xf "$WORK/$1.tar"
}

# newer PACKAGE NEW: the same package as a later version that ships another configuration.
newer() {
    rm -rf "$WORK/tree"
    dpkg-deb --raw-extract "$1" "$WORK/tree"
    sed -i 's/^Version: .*/Version: 999/' "$WORK/tree/DEBIAN/control"
    echo "# shipped by the newer version" >>"$WORK/tree/etc/sigfox2mqtt/config.toml"
    (cd "$WORK/tree" && find . -path ./DEBIAN -prune -o -type f -printf '%P\0' | xargs -0 md5sum >DEBIAN/md5sums)
    dpkg-deb --root-owner-group --build "$WORK/tree" "$2" >/dev/null
    rm -rf "$WORK/tree"
}
