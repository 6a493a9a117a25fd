"""Where single faults can be planted in C sources, and what each line becomes.

A fault changes one line. Sources are cut into tokens; texts, comments, lines of the preprocessor, declarations of types
and the samplers of tests' inputs (leat_case) are passed over.
"""
import re

KINDS = ["sign", "index", "dropped term", "comparison", "off by one", "swapped arguments"]

TOKEN = re.compile(r"""
    [A-Za-z_]\w* | 0[xX][0-9a-fA-F]+[uUlL]* | (?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?[fFuUlL]* |
    "(?:\\.|[^"\\])*" | '(?:\\.|[^'\\])*' |
    <<=|>>=|\.\.\.|->|\+\+|--|<<|>>|<=|>=|==|!=|&&|\|\||[-+*/%&|^]=|[^\s\w]
""", re.X)
COMMENT = re.compile(r"""/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'""", re.S)
KEYWORDS = {"return", "sizeof", "if", "while", "for", "switch", "case", "else", "do", "goto", "break", "continue"}
TYPES = {"int64_t", "double", "int", "leat_real", "size_t", "uint64_t", "float", "*", "char", "void", "uint32_t",
         "const"}
DECLARATION = re.compile(r"\s*(?:static\s+)?(?:const\s+)?(?:struct\s+|unsigned\s+)?[a-z]\w*\s+\**\w+\s*(?:\[|;|,|=)")
POINTER = re.compile(r"\s*(?:static\s+)?(?:const\s+)?(?:struct\s+)?\w+\s*\*+\s*\w+\s*[=;,(\[]")
UNARY = {"-", "+", "!", "*", "&", "~"}
FLIPPED = {"<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=", "!=": "==", "&&": "||", "||": "&&",
           "true": "false", "false": "true"}


def blanked(text):
    """The text with comments as blanks, of the same length."""
    def blank(match):
        piece = match.group()
        return piece if piece[0] in "\"'" else re.sub(r"[^\n]", " ", piece)
    return COMMENT.sub(blank, text)


def code_lines(text):
    """The numbers of the lines whose code may be changed, from 0."""
    lines = blanked(text).split("\n")
    depth, start, keep, passed = 0, "", [], False
    continued = False
    for n, line in enumerate(lines):
        if continued or line.lstrip().startswith("#"):
            continued = line.endswith("\\")
            continue
        if depth == 0:
            start = line if line[:1].strip() and line[0] not in "{}" else start + line
        elif not passed:
            keep.append(n)
        plain = re.sub(r"\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'", "", line)
        before = depth
        depth += plain.count("{") - plain.count("}")
        if before == 0 and depth > 0:
            declares = re.match(r"\s*(typedef\b|struct \w+ \{|union |enum )", start)
            passed = bool(declares) or "leat_case" in start or "samples[" in start
    return keep


class Line:
    """One line's tokens, and the changes that can be made to it."""

    def __init__(self, text):
        self.text = text
        self.tokens = [(m.group(), m.start(), m.end()) for m in TOKEN.finditer(blanked(text))]

    def at(self, i):
        return self.tokens[i][0] if 0 <= i < len(self.tokens) else ""

    def replaced(self, first, last, new):
        """The line with tokens first..last (both with them) replaced."""
        return self.text[:self.tokens[first][1]] + new + self.text[self.tokens[last][2]:]

    def is_value(self, i):
        token = self.at(i)
        return token in (")", "]") or (re.match(r"[\w.\"']", token) is not None and token not in KEYWORDS)

    def is_name(self, i):
        return re.match(r"[A-Za-z_]", self.at(i)) is not None and self.at(i) not in KEYWORDS

    def is_binary(self, i):
        if not self.is_value(i - 1) or not self.at(i + 1):
            return False
        if self.at(i) in ("*", "&", "-", "+") and self.at(i - 1) == ")":  # of a cast?
            opened = self.opening(i - 1)
            inside = [self.at(k) for k in range(opened + 1, i - 1)]
            if opened >= 0 and not self.is_name(opened - 1) and any(t in TYPES for t in inside):
                return False
        return True

    def declares(self):
        return DECLARATION.match(self.text) is not None and self.at(0) not in KEYWORDS

    def opening(self, i):
        depth = 0
        for k in range(i, -1, -1):
            depth += (self.at(k) in ")]}") - (self.at(k) in "([{") if self.at(k) else 0
            if depth == 0:
                return k
        return -1

    def closing(self, i):
        depth = 0
        for k in range(i, len(self.tokens)):
            depth += (self.at(k) in "([{") - (self.at(k) in ")]}")
            if depth == 0:
                return k
        return -1

    def operand_end(self, i):
        """The last token of the operand that begins at token i; -1 if it does not end on this line."""
        while self.at(i) in UNARY or self.at(i) == "sizeof":
            i += 1
        if self.at(i) == "(":
            i = self.closing(i)
            if i >= 0 and (self.is_name(i + 1) or self.at(i + 1) == "("):  # a cast
                return self.operand_end(i + 1)
        elif not re.match(r"[\w.\"']", self.at(i)):
            return -1
        while i >= 0 and self.at(i + 1) in ("(", "[", ".", "->"):
            i = self.closing(i + 1) if self.at(i + 1) in ("(", "[") else i + 2
        return i if 0 <= i < len(self.tokens) else -1

    def term_end(self, i, further):
        """The last token of what operators `further` hold together, from token i."""
        end = self.operand_end(i)
        while end >= 0 and self.at(end + 1) in further:
            end = self.operand_end(end + 2)
        return end

    def sign(self):
        swap = {"+": "-", "-": "+", "+=": "-=", "-=": "+="}
        for i in range(len(self.tokens)):
            token = self.at(i)
            if token in swap and (token.endswith("=") or self.is_binary(i)):
                yield self.replaced(i, i, swap[token])
            elif token == "-" and not self.is_value(i - 1):
                yield self.text[:self.tokens[i][1]] + self.text[self.tokens[i][2]:]

    def index(self):
        for i in range(1, len(self.tokens)):
            if self.at(i) != "[" or not self.is_value(i - 1):
                continue
            declared = self.is_name(i - 2) or (self.declares() and "=" not in self.text[:self.tokens[i][1]])
            end = self.closing(i)
            if declared or end <= i + 1 or self.at(i - 2) == "*" and self.is_name(i - 3) and self.declares():
                continue
            inside = [self.at(k) for k in range(i + 1, end)]
            if inside[-2:] in (["+", "1"], ["-", "1"]):
                yield self.replaced(end - 2, end - 1, "")
            else:
                text = self.text[self.tokens[i + 1][1]:self.tokens[end - 1][2]]
                yield self.replaced(i + 1, end - 1, "1" if text == "0" else text + " + 1")
            if text_is_name(inside) and inside[0] in ("i", "j", "k", "d", "g", "r", "n"):
                for other in ("i", "j", "k"):
                    if other != inside[0]:
                        yield self.replaced(i + 1, i + 1, other)

    def dropped_term(self):
        for i in range(len(self.tokens)):
            token, end = self.at(i), -1
            if token in ("+", "-") and self.is_binary(i):
                end = self.term_end(i + 1, ("*", "/", "%"))
            elif token in ("*", "/") and self.is_binary(i) and not self.declares_pointer(i):
                end = self.operand_end(i + 1)
            elif token in ("&&", "||") and self.at(i + 1):
                end = self.term_end(i + 1, ("*", "/", "%", "+", "-", "<", ">", "<=", ">=", "==", "!=", "&", "|") +
                                    (("&&",) if token == "||" else ()))
            elif token in ("+=", "-=", "*=", "|="):
                yield self.replaced(i, i, "=")
            if end >= 0:
                yield self.text[:self.tokens[i - 1][2]] + self.text[self.tokens[end][2]:]
        if self.is_statement():
            yield self.text[:self.tokens[0][1]] + ";" + self.text[self.tokens[-1][2]:]

    def declares_pointer(self, i):
        return self.at(i) == "*" and POINTER.match(self.text) is not None

    def is_statement(self):
        if len(self.tokens) < 3 or self.at(-1 + len(self.tokens)) != ";" or self.at(0) in KEYWORDS or self.declares():
            return False
        tokens = [t[0] for t in self.tokens]
        whole = all(tokens.count(a) == tokens.count(b) for a, b in ("()", "[]", "{}")) and tokens.count(";") == 1
        begins = re.match(r"[A-Za-z_*(]", tokens[0]) is not None and not self.is_name(1)
        return whole and begins and "(void)" not in self.text

    def comparison(self):
        for i in range(len(self.tokens)):
            token = self.at(i)
            if token in FLIPPED and (token in ("true", "false") or self.is_value(i - 1) or i == 0):
                yield self.replaced(i, i, FLIPPED[token])
            elif token in FLIPPED and i == len(self.tokens) - 1:
                yield self.replaced(i, i, FLIPPED[token])
            elif token == "!" and self.at(i + 1) != "!":
                yield self.text[:self.tokens[i][1]] + self.text[self.tokens[i][2]:]

    def off_by_one(self):
        for i in range(len(self.tokens)):
            if re.fullmatch(r"\d+", self.at(i)) and self.at(i - 1) != "[" and not (self.is_name(i - 1)):
                yield self.replaced(i, i, str(int(self.at(i)) + 1))
            elif self.at(i) in ("<", "<=", ">", ">=") and self.is_value(i - 1):
                end = self.term_end(i + 1, ("*", "/", "%", "+", "-"))
                if end >= 0:
                    yield self.text[:self.tokens[end][2]] + " - 1" + self.text[self.tokens[end][2]:]

    def swapped_arguments(self):
        for i in range(1, len(self.tokens)):
            if self.at(i) != "(" or not self.is_name(i - 1) or self.is_name(i - 2) or self.at(i - 1) == "sizeof":
                continue
            end = self.closing(i)
            if end < 0:
                continue
            cuts, depth = [i], 0
            for k in range(i + 1, end):
                depth += (self.at(k) in "([{") - (self.at(k) in ")]}")
                if depth == 0 and self.at(k) == ",":
                    cuts.append(k)
            cuts.append(end)
            for a, b, c in zip(cuts, cuts[1:], cuts[2:]):
                first = self.text[self.tokens[a + 1][1]:self.tokens[b - 1][2]]
                second = self.text[self.tokens[b + 1][1]:self.tokens[c - 1][2]]
                if first != second and '"' not in first + second:
                    yield self.replaced(a + 1, c - 1, second + ", " + first)

    def changes(self, kind):
        return [line for line in getattr(self, kind.replace(" ", "_"))() if line != self.text]


def text_is_name(inside):
    return len(inside) == 1 and re.match(r"[A-Za-z_]\w*$", inside[0]) is not None


def sites(text):
    """Every (kind, line number from 0, the new line) that the source has."""
    lines = text.split("\n")
    plain = blanked(text).split("\n")
    found = []
    for n in code_lines(text):
        if not plain[n].strip():
            continue
        line = Line(plain[n])
        for kind in KINDS:
            for new in line.changes(kind):
                found.append((kind, n, new + lines[n][len(plain[n].rstrip()):] if lines[n] != plain[n] else new))
    return found
