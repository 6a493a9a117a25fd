# What the tests of programs share, to be read by them: the program that $1 names, a folder of the test's own, in which
# it goes on, and the count of failures.
program=$(realpath "$1")
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit 1
failures=0

fail() {
    echo "FAIL: $*"
    sed 's/^/    /' err | head -5
    failures=$((failures + 1))
}

# run WANTED_EXIT ARGUMENTS...: standard output in `out`, standard error in `err`
run() {
    wanted=$1
    shift
    "$program" "$@" >out 2>err </dev/null
    got=$?
    [ $got -eq "$wanted" ] || fail "$*: exit $got, wanted $wanted"
}
