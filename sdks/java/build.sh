#!/bin/sh
# Builds the library and the conformance handler into a folder: OUT/outrigger.jar, and OUT/conformance, which runs.
# What stands there already and is newer than its sources is left as it is.
set -eu

usage="usage: build.sh OUT"
out=${1:?$usage}
here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
mkdir -p "$out"
out=$(CDPATH= cd -- "$out" && pwd)

if [ -x "$out/conformance" ] \
    && [ -z "$(find "$here/src" "$here/conformance" "$here/build.sh" -newer "$out/conformance" -type f)" ]; then
    exit 0
fi

# Whoever builds into the same folder at the same time gets a whole result too: it is made aside and moved.
draft=$(mktemp -d "$out/.build.XXXXXX")
trap 'rm -rf "$draft"' EXIT
compile() {
    # The symbol file is what warns of sun.misc.Signal, which the module jdk.unsupported exports for good.
    javac -XDignore.symbol.file -source 17 -target 17 -encoding UTF-8 -Xlint:all -Xlint:-options -Werror "$@"
}
compile -d "$draft/library" "$here"/src/dev/outrigger/*.java
jar --create --file "$draft/outrigger.jar" -C "$draft/library" .
compile -cp "$draft/library" -d "$draft/classes" "$here"/conformance/*.java
jar --create --file "$draft/conformance.jar" -C "$draft/classes" .
cat >"$draft/conformance" <<'SCRIPT'
#!/bin/sh
here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
exec java -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -cp "$here/outrigger.jar:$here/conformance.jar" Conformance
SCRIPT
chmod +x "$draft/conformance"
mv "$draft/outrigger.jar" "$draft/conformance.jar" "$out"
mv "$draft/conformance" "$out"
