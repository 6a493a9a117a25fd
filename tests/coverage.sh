#!/bin/bash
# coverage.sh [build folder]: how much of tensor, autograd, nn and flows the tests reach, by lines and by branches. Builds
# with counters (build-coverage, if no folder is named), runs all tests of meson, and prints the shares, each folder's
# least covered files, and a page with every line in <build folder>/coverage.html. Needs gcovr. Exit 1 if the folders have
# less than 95 % of lines or 85 % of branches.
set -eu
cd "$(dirname "$0")/.."
build=${1:-build-coverage}
[ -e "$build/build.ninja" ] || CC=gcc meson setup "$build" -Doptimization=2 -Dtests=enabled -Db_coverage=true \
    -Db_lundef=false -Dc_args=-fprofile-update=single >&2
ninja --quiet -C "$build" >&2
find "$build" -name '*.gcda' -delete
meson test -C "$build" --no-rebuild --no-suite source -t 5 --quiet >&2 || echo 'some tests fail' >&2
gcovr --root . "$build" --filter '(tensor|autograd|nn|flows)/' --exclude-unreachable-branches --gcov-ignore-parse-errors \
    --json-summary "$build/coverage.json" --html-details "$build/coverage.html" >/dev/null
python3 - "$build/coverage.json" <<'PYTHON'
import json, sys
files = json.load(open(sys.argv[1]))["files"]
name = lambda f: f.get("filename") or f["file"]
share = lambda of, what: 100 * sum(f[what + "_covered"] for f in of) / max(1, sum(f[what + "_total"] for f in of))
enough = True
for folder in ("tensor", "autograd", "nn", "flows"):
    of = [f for f in files if name(f).startswith(folder + "/")]
    lines, branches = share(of, "line"), share(of, "branch")
    enough = enough and lines >= 95 and branches >= 85
    print("%-9s %5.1f %% of %5d lines, %5.1f %% of %5d branches" % (
        folder, lines, sum(f["line_total"] for f in of), branches, sum(f["branch_total"] for f in of)))
    for f in sorted(of, key=lambda f: f["line_covered"] - f["line_total"])[:3]:
        print("          %5.1f %% of lines, %5.1f %% of branches: %s" % (share([f], "line"), share([f], "branch"), name(f)))
sys.exit(not enough)
PYTHON
