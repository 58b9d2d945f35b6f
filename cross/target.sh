# shellcheck shell=bash disable=SC2034
# Sourced by the scripts beside it: what Debian calls each target, and what makes cargo build for it.

readonly PACKAGES=target/packages # what people take away
readonly CACHE=target/cross       # tools and toolchains, kept between runs
readonly NEWEST_GLIBC=2.36        # Raspberry Pi OS bookworm's

# Brokers, proxies and debootstrap lie where only root looks by default.
PATH=$PATH:/usr/sbin:/sbin

die() {
    echo "cross: $*" >&2
    exit 1
}

# describe TRIPLE: sets `triple`, `debian` (architecture), `gnu` (prefix of the cross compiler), `qemu`.
describe() {
    triple=$1
    case $triple in
        aarch64-unknown-linux-gnu) debian=arm64 gnu=aarch64-linux-gnu qemu=qemu-aarch64-static ;;
        armv7-unknown-linux-gnueabihf) debian=armhf gnu=arm-linux-gnueabihf qemu=qemu-arm-static ;;
        x86_64-unknown-linux-gnu) debian=amd64 gnu=x86_64-linux-gnu qemu=qemu-x86_64-static ;;
        *) die "unknown target $triple (known: aarch64-unknown-linux-gnu armv7-unknown-linux-gnueabihf x86_64-unknown-linux-gnu)" ;;
    esac
    # What this machine runs by itself needs no emulator.
    [ "$debian" != "$(dpkg --print-architecture)" ] || qemu=
}

# need PROGRAM PACKAGE …: installs the Debian packages whose programs are missing, or says which they are.
need() {
    local missing=()
    while [ $# -gt 0 ]; do
        command -v "$1" >/dev/null || [ -e "$1" ] || missing+=("$2")
        shift 2
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    local as_root=()
    [ "$(id -u)" -eq 0 ] || as_root=(sudo -n)
    "${as_root[@]}" true 2>/dev/null || die "missing Debian packages: ${missing[*]}"
    echo "cross: installing ${missing[*]}"
    "${as_root[@]}" apt-get update -qq
    DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -y -qq --no-install-recommends \
        "${missing[@]}" >/dev/null || die "could not install ${missing[*]}"
}

# tool NAME: makes a cargo tool runnable, from the registry and once; fails where it cannot be had.
tool() {
    PATH="$PWD/$CACHE/tools/bin:$PATH"
    command -v "$1" >/dev/null ||
        cargo install --quiet --locked --root "$CACHE/tools" --target-dir "$CACHE/tools/build" "$1"
}

# equip: exports what cargo needs to build for the described target on this machine.
equip() {
    local key=${triple//-/_}
    local variable=CARGO_TARGET_${key^^}
    choose_toolchain
    if [ -n "$qemu" ]; then
        need "$gnu-gcc" "gcc-${gnu/_/-}" "/usr/$gnu/include/stdio.h" "libc6-dev-$debian-cross"
        export "${variable}_LINKER=$gnu-gcc" "CC_$key=$gnu-gcc" "AR_$key=$gnu-ar"
        export "${variable}_RUNNER=$qemu -L /usr/$gnu"
    fi
    if [ "$debian" = armhf ]; then
        # QuickJS's bindings are made while building; libclang must see the target's headers, not ours. libclang-cpp is
        # another library.
        compgen -G '/usr/lib/llvm-*/lib/libclang.so*' >/dev/null ||
            compgen -G '/usr/lib/llvm-*/lib/libclang-[0-9]*.so*' >/dev/null || need libclang libclang-dev
        export "BINDGEN_EXTRA_CLANG_ARGS_$key=-I/usr/$gnu/include"
    fi
    hide_paths "$key"
}

# The toolchain that is there, if it knows the target; else rustup's; else Debian's, in a folder of its own.
# CROSS_TOOLCHAIN=debian asks for the last at once.
choose_toolchain() {
    local asked=${CROSS_TOOLCHAIN:-any}
    if [ "$asked" != debian ]; then
        ! knows_target || return 0
        if command -v rustup >/dev/null && timeout 600 rustup target add "$triple" && knows_target; then
            return 0
        fi
        echo "cross: no standard library for $triple by rustup, taking Debian's"
    fi
    RUSTC=$(cross/debian-toolchain "$debian" "$triple") || die "no toolchain for $triple"
    export RUSTC
}

knows_target() {
    local libraries
    libraries=$("${RUSTC:-rustc}" --print target-libdir --target "$triple") && compgen -G "$libraries/libstd-*" >/dev/null
}

# No binary may tell where it was built: paths are replaced, so that every machine builds the same bytes.
hide_paths() {
    local home=${CARGO_HOME:-$HOME/.cargo} sysroot flags
    sysroot=$("${RUSTC:-rustc}" --print sysroot)
    # Cargo's encoding separates flags by 0x1F instead of spaces, which a path may have.
    flags=${RUSTFLAGS:-}
    flags=${flags// /$'\x1f'}${flags:+$'\x1f'}
    flags+=--remap-path-prefix=$PWD=/sigfox2mqtt$'\x1f'--remap-path-prefix=$(target_folder)=/target
    flags+=$'\x1f'--remap-path-prefix=$home=/cargo$'\x1f'--remap-path-prefix=$sysroot=/rust
    export CARGO_ENCODED_RUSTFLAGS=$flags
    # The same for C, quoted for the same reason.
    export CC_SHELL_ESCAPED_FLAGS=1
    export "CFLAGS_$1='-ffile-prefix-map=$(target_folder)=/target' '-ffile-prefix-map=$home=/cargo'"
    SOURCE_DATE_EPOCH=$(source_date)
    export SOURCE_DATE_EPOCH
}

# What the release carries needlessly, after `equip`: nothing unwinds (panic = "abort"). Not for tests, which unwind.
# What the linker can leave out or fold besides is tried by build.rs; LLVM's can most, and rustup brings it along.
slim() {
    CARGO_ENCODED_RUSTFLAGS+=$'\x1f'-Cforce-unwind-tables=no
    local lld
    lld=$(rustc --print sysroot)/lib/rustlib/$(rustc --version --verbose | sed -n 's/^host: //p')/bin/gcc-ld
    if [ -x "$lld/ld.lld" ]; then
        CARGO_ENCODED_RUSTFLAGS+=$'\x1f'-Clink-arg=-fuse-ld=lld$'\x1f'-Clink-arg=-B$lld
    fi
}

# source_date: the second that everything built here carries as its date.
source_date() {
    echo "${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || stat -c %Y Cargo.lock)}"
}

target_folder() {
    realpath -m "${CARGO_TARGET_DIR:-target}"
}

# binary: where cargo puts the described target's program.
binary() {
    echo "$(target_folder)/$triple/release/sigfox2mqtt"
}
