#!/usr/bin/env python3
"""Do the tests notice a fault? Plants single faults in the sources, one at a time, and runs the tests that reach them.

    tests/faults/plant.py [--count 300] [--seed 1] [--folders autograd,nn,flows] [--work build-faults]
    tests/faults/plant.py --most 8               no more than 8 tests for each fault and precision: quick, and then
    tests/faults/plant.py --again                what was neither caught before nor explained: by all tests, or by new ones
    tests/faults/plant.py --report               what the runs so far found

A fault is a sign, an index, a dropped term, a comparison, an off by one or swapped arguments (sites.py), drawn by the
seed: the kind first, then its place. One that does not compile, of which the compiler warns, or of which it makes the
same code, is drawn again, and so is one in an assertion, which is the caller's contract.

All is done in a copy of the tree below the working folder. There the library is a shared one, so a fault costs a file's
compilation and a link; and a first run counts which test reaches which line, so only the tests run that can notice, the
ones that caught most in this file first, in float and then in double, until one fails or takes too long; with
--sanitizer what escapes them is run under AddressSanitizer and UBSan, too. The first run takes some minutes for the
builds. A run that is stopped goes on from where it was.

Prints the rest and the shares: of all, and of those that can change a result. explained.txt beside says of the rest why
it cannot, and what AddressSanitizer catches. Exit 1 if the latter share is below 95 % or something is not explained.
"""
import argparse
import collections
import functools
import glob
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time

import sites

ROOT = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))
LIBRARIES = {"": "libleat.so.0.1.0", " (double)": "libleat64.so.0.1.0"}
SLOWEST = 120  # seconds of CPU: a test that takes longer undisturbed is left out
MEMORY = 6 << 30


def run(command, **more):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
                          **more)


def must(command, **more):
    done = run(command, **more)
    if done.returncode:
        sys.exit("%s: exit %d\n%s" % (" ".join(command), done.returncode, done.stdout[-4000:]))
    return done.stdout


def read(path):
    with open(path, "rb") as f:
        return f.read()


class Tests:
    """One build of the copy, and its tests by name."""

    def __init__(self, work, name, options, limit_memory=True):
        self.folder, self.tree = os.path.join(work, name), os.path.join(work, "tree")
        self.limit_memory = limit_memory
        if not os.path.exists(os.path.join(self.folder, "build.ninja")):
            compiler = "ccache gcc" if shutil.which("ccache") else "gcc"
            must(["meson", "setup", self.folder, self.tree, "-Doptimization=2", "-Dtests=enabled",
                  "-Db_lundef=false"] + options, env=dict(os.environ, CC=compiler))
        self.commands, self.programs = {}, set()
        for test in json.loads(must(["meson", "introspect", "--tests", self.folder])):
            suite = test["suite"][0].split(":")[-1]
            if suite in ("autograd", "nn", "flows") and "/test_" in test["name"]:
                self.commands[test["name"]] = (test["cmd"] + ["--jobs=1", "--fail-fast"],
                                               dict(os.environ, **test["env"]))
                self.programs.add(os.path.relpath(test["cmd"][0], self.folder))

    def build(self, *targets):
        return run(["ninja", "-j1", "-C", self.folder, *targets])

    def run(self, name, limit, environment=None):
        """(passed, seconds of CPU); a test that takes more of them than the limit, or waits forever, has failed."""
        command, env = self.commands[name]
        scratch = os.path.join(self.folder, "scratch")
        shutil.rmtree(scratch, ignore_errors=True)
        os.makedirs(scratch)

        def bounds():
            if self.limit_memory:
                resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
            resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 30, 1 << 30))
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            resource.setrlimit(resource.RLIMIT_CPU, (int(limit) + 1, int(limit) + 1))

        def spent():
            used = resource.getrusage(resource.RUSAGE_CHILDREN)
            return used.ru_utime + used.ru_stime

        start = spent()
        env = dict(env, **{"TMPDIR": scratch, "GCOV_PREFIX": os.devnull, **(environment or {})})
        process = subprocess.Popen(command, cwd=scratch, env=env,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                   start_new_session=True, preexec_fn=bounds)
        try:
            passed = process.wait(10 * limit) == 0  # by the wall clock, which other programs share
        except subprocess.TimeoutExpired:
            passed = False
        finally:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            process.wait()
        return passed, spent() - start


def copy_tree(work):
    tree = os.path.join(work, "tree")
    os.makedirs(tree)
    for name in sorted(os.listdir(ROOT)):
        path = os.path.join(ROOT, name)
        if name.startswith("build") or name == ".git" or os.path.realpath(path) == os.path.realpath(work):
            continue
        must(["cp", "-a", path, tree])
    with open(os.path.join(tree, "meson.build")) as f:
        text = f.read()
    for old, new in (("gnu_symbol_visibility: 'hidden'",
                      "gnu_symbol_visibility: 'default', link_args: '-Wl,-Bsymbolic'"),
                     ("link_with: library.get_static_lib()", "link_with: library.get_shared_lib()")):
        if old not in text:
            sys.exit("meson.build has no '%s'" % old)
        text = text.replace(old, new)
    with open(os.path.join(tree, "meson.build"), "w") as f:
        f.write(text)


def refresh(work):
    """Brings what has changed in the tree into the copy."""
    tree = os.path.join(work, "tree")
    for folder in ("autograd", "nn", "flows", "tensor", "apps", "tests"):
        for source in glob.glob(os.path.join(ROOT, folder, "**", "*"), recursive=True):
            copy = os.path.join(tree, os.path.relpath(source, ROOT))
            if not os.path.isfile(source) or "__pycache__" in source:
                continue
            if not os.path.exists(copy) or read(source) != read(copy):
                os.makedirs(os.path.dirname(copy), exist_ok=True)
                shutil.copy(source, copy)


def reached_lines(work, tests):
    """{"reached": {test: {file: lines that it reaches}}, "seconds": {test: how long it takes}, "lines": {file: all}}.
    Of tests that have changed since it was counted they are counted anew."""
    stored = os.path.join(work, "reached.json")
    result = {"reached": {}, "lines": {}, "seconds": {}}
    counted_at = 0
    if os.path.exists(stored):
        counted_at = os.stat(stored).st_mtime
        with open(stored) as f:
            result = json.load(f)
    reached, took = result["reached"], result["seconds"]
    lines = {path: set(of) for path, of in result["lines"].items()}
    stale = [name for name, (command, env) in tests.commands.items()
             if name not in took or os.stat(command[0]).st_mtime > counted_at]
    for name in stale:
        took.pop(name, None)
    for name in sorted(stale):
        for count in glob.glob(os.path.join(tests.folder, "libleat*.p", "*.gcda")):
            os.remove(count)
        passed, took[name] = tests.run(name, 300, {"GCOV_PREFIX": ""})
        if not passed:
            print("left out, fails undisturbed: %s" % name, flush=True)
            continue
        counts = sorted(glob.glob(os.path.join(tests.folder, "libleat*.p", "*.gcda")))
        mine = reached[name] = {}
        said = subprocess.run(["gcov", "--json-format", "--stdout"] + counts, cwd=tests.folder, capture_output=True,
                              text=True)
        for report in said.stdout.splitlines():
            for file in json.loads(report)["files"] if report.startswith("{") else []:
                path = os.path.relpath(os.path.join(tests.folder, file["file"]), tests.tree)
                if path.endswith(".c") and not path.startswith(".."):
                    lines.setdefault(path, set()).update(l["line_number"] for l in file["lines"])
                    hit = [l["line_number"] for l in file["lines"] if l["count"] > 0]
                    if hit:
                        mine[path] = sorted(set(mine.get(path, [])) | set(hit))
        result["lines"] = {path: sorted(found) for path, found in lines.items()}
        with open(stored + ".new", "w") as f:
            json.dump(result, f)
        os.replace(stored + ".new", stored)
    return result


class Planter:
    def __init__(self, work, sanitizer, most):
        self.most = most or None
        self.work, self.tree = work, os.path.join(work, "tree")
        os.makedirs(work, exist_ok=True)
        if not os.path.exists(self.tree):
            copy_tree(work)
        else:
            refresh(work)
        # No faults are planted in tensor, whose kernels are slow when they count. They are slow at -O1, too, where gcc
        # does not clear the vector registers behind them.
        self.plain = Tests(work, "plain", ["-Db_coverage=true", "-Dc_args=-fprofile-update=single "
                                           "-fprofile-exclude-files=/tensor/"])
        self.build_all(self.plain)
        found = reached_lines(work, self.plain)
        self.reached, self.lines, self.seconds = found["reached"], found["lines"], found["seconds"]
        self.sanitized = None
        if sanitizer:
            self.sanitized = Tests(work, "sanitized", ["-Db_sanitize=address,undefined"], limit_memory=False)
            self.build_all(self.sanitized)
        self.catches = {}  # file: {test: how many it caught}

    def build_all(self, tests):
        print("building the tests", flush=True)
        built = tests.build(*LIBRARIES.values(), *sorted(tests.programs))
        if built.returncode:
            sys.exit(built.stdout[-4000:])

    def tests_for(self, file, number):
        """The tests that reach the line, those first that catch most in their time."""
        line = max((l for l in self.lines.get(file, []) if l <= number and number - l < 8), default=None)
        reach = [t for t, files in self.reached.items()
                 if self.seconds[t] < SLOWEST and file in files and (line is None or line in files[file])]
        caught, stem = self.catches.get(file, {}), os.path.basename(file)[:-2]
        return sorted(reach, key=lambda t: self.seconds[t] / (1 + 5 * caught.get(t, 0) + 3 * (stem in t) +
                                                             (t.split("/")[0] == file.split("/")[0])))

    def plant(self, file, number, new):
        """What came of it: None if it is no fault, "caught by ..." or "escaped"."""
        path = os.path.join(self.tree, file)
        if new.lstrip().startswith("assert("):  # the caller's contract
            return None
        lines = read(path).decode().split("\n")
        lines[number - 1] = new
        kept = {path: (read(path), os.stat(path).st_mtime_ns)}
        same = True
        try:
            with open(path, "w") as f:
                f.write("\n".join(lines))
            for suffix, library in LIBRARIES.items():
                target = os.path.join(library + ".p", file.replace("/", "_") + ".o")
                compiled = os.path.join(self.plain.folder, target)
                for made in (compiled, compiled[:-2] + ".gcno"):
                    kept[made] = (read(made), os.stat(made).st_mtime_ns)
                built = self.plain.build(target)
                if built.returncode or "warning:" in built.stdout:
                    return None
                if read(compiled) == kept[compiled][0]:
                    continue
                same = False
                self.plain.build(library)
                caught = self.caught(self.plain, file, number, suffix)
                if caught:
                    return caught
            if same:
                return None
            if self.sanitized and not self.sanitized.build(*LIBRARIES.values()).returncode:
                for suffix in LIBRARIES:
                    caught = self.caught(self.sanitized, file, number, suffix)
                    if caught:
                        return caught + ", AddressSanitizer"
            if not self.tests_for(file, number):
                return "escaped: no test reaches it"
            return "escaped %d tests" % self.most if self.most else "escaped"
        finally:
            self.restore(kept)

    def restore(self, kept):
        """Files as they were; and no library, so that it is linked again."""
        for path, (text, time_ns) in kept.items():
            with open(path, "wb") as f:
                f.write(text)
            os.utime(path, ns=(time_ns, time_ns))
        for library in LIBRARIES.values():
            path = os.path.join(self.plain.folder, library)
            if os.path.exists(path):
                os.remove(path)

    def caught(self, tests, file, number, suffix):
        names = [name for name in self.tests_for(file, number) if name.endswith(" (double)") == (suffix != "")]
        for name in names[:self.most]:
            slow = 5 if tests is self.sanitized else 1
            passed, seconds = tests.run(name, slow * (5 + 4 * self.seconds[name]))
            if not passed:
                caught = self.catches.setdefault(file, {})
                caught[name] = caught.get(name, 0) + 1
                return "caught by %s" % name
        return None


def all_sites(tree, folders):
    found = {kind: [] for kind in sites.KINDS}
    for folder in folders:
        for path in sorted(glob.glob(os.path.join(tree, folder, "**", "*.c"), recursive=True)):
            with open(path) as f:
                text = f.read()
            lines = text.split("\n")
            for kind, n, new in sites.sites(text):
                found[kind].append((os.path.relpath(path, tree), n + 1, lines[n], new))
    return found


@functools.lru_cache(maxsize=None)
def explanations():
    """{(file, line before, line after): (part, why)}: blocks of 'file', '- before', '+ after' and a sentence."""
    found, part = {}, None
    with open(os.path.join(ROOT, "tests", "faults", "explained.txt")) as f:
        for block in f.read().split("\n\n"):
            lines = block.strip().split("\n")
            if lines[0].startswith("=="):
                part = lines[0][2:].strip()
            elif not lines[0].startswith("#"):
                before, after = (next(l[1:].strip() for l in lines if l.startswith(sign)) for sign in "-+")
                why = " ".join(l.strip() for l in lines[1:] if l[0] not in "-+")
                found[lines[0].split(":")[0].strip(), before, after] = part, why
    return found


def explained(result):
    return explanations().get((result["file"], result["before"].strip(), result["after"].strip()))


def report(results):
    caught = [r for r in results if r["outcome"].startswith("caught")]
    rest = [r for r in results if r not in caught]
    parts = collections.Counter()
    for r in rest:
        part, why = explained(r) or (None, None)
        parts[part] += 1
        print("%s:%d: %s: %s\n  - %s\n  + %s%s" % (r["file"], r["line"], r["kind"], r["outcome"], r["before"].strip(),
                                                   r["after"].strip(), "\n  " + why if why else ""))
    for kind in sites.KINDS:
        of = [r for r in results if r["kind"] == kind]
        print("%-18s %3d of %3d" % (kind, sum(r in caught for r in of), len(of)))
    noticed, matter = len(caught) + parts["sanitizer"], len(results) - parts["the same"]
    share = 100 * noticed / max(1, matter)
    print("%d faults: %d caught, %.1f %%; %d escaped, %d of them not explained; of the %d that can change a result %d are "
          "caught, by AddressSanitizer too: %.1f %%" % (len(results), len(caught), 100 * len(caught) / max(1, len(results)),
                                                       len(rest), parts[None], matter, noticed, share))
    return 0 if share >= 95 and not parts[None] else 1


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--count", type=int, default=300)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--folders", default="autograd,nn,flows")
    options.add_argument("--work", default=os.path.join(ROOT, "build-faults"))
    options.add_argument("--again", action="store_true")
    options.add_argument("--report", action="store_true")
    options.add_argument("--sanitizer", action="store_true")
    options.add_argument("--most", type=int, default=0)
    o = options.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # by way of every `finally`
    work = os.path.realpath(o.work)
    stored = os.path.join(work, "results-%d.json" % o.seed)
    results = json.load(open(stored)) if os.path.exists(stored) else []
    if o.report:
        return report(results)

    planter = Planter(work, o.sanitizer, o.most)
    start = time.monotonic()

    def keep(r):
        print("%3d %5d s  %s:%d: %s: %s\n        - %s\n        + %s" %
              (len(results), time.monotonic() - start, r["file"], r["line"], r["kind"], r["outcome"],
               r["before"].strip(), r["after"].strip()), flush=True)
        with open(stored + ".new", "w") as f:
            json.dump(results, f, indent=1)
        os.replace(stored + ".new", stored)

    if o.again:
        for r in [r for r in results if r["outcome"].startswith("escaped") and not explained(r)]:
            with open(os.path.join(planter.tree, r["file"])) as f:
                places = [n + 1 for n, line in enumerate(f.read().split("\n")) if line == r["before"]]
            if places:
                r["line"] = min(places, key=lambda n: abs(n - r["line"]))
                r["outcome"] = planter.plant(r["file"], r["line"], r["after"]) or "escaped: the same code"
                keep(r)
        return report(results)

    draw = random.Random(o.seed)
    found = all_sites(planter.tree, o.folders.split(","))
    drawn = set()
    while len(results) < o.count:
        kind = draw.choice(sites.KINDS)
        file, number, before, after = draw.choice(found[kind])
        if (file, number, after) in drawn:
            continue
        drawn.add((file, number, after))
        if any((r["file"], r["line"], r["after"]) == (file, number, after) for r in results):
            continue
        outcome = planter.plant(file, number, after)
        if outcome:
            results.append({"file": file, "line": number, "kind": kind, "before": before, "after": after,
                            "outcome": outcome})
            keep(results[-1])
    return report(results)


if __name__ == "__main__":
    sys.exit(main())
