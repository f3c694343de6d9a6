#!/usr/bin/env python3
"""Writes test/python/data/tokenization.json: strings and the ids that llama.cpp gives them.

Run once, whenever the strings change, with a Python that has llama-cpp-python (its sdist builds in
ten minutes; no test needs it):

    python3 -m venv llama && llama/bin/pip install llama-cpp-python==0.3.36
    llama/bin/python scripts/make-tokenization-data.py "$(scripts/get-smollm2.sh)"

Control tokens written in a text are read as text (parse_special=False), and the beginning-of-sequence
token is added where the model asks for it (add_special=True; SmolLM2 does not).
"""

import json
import random
import sys
from importlib.metadata import version
from pathlib import Path

COUNT = 200

WRITTEN = [
    # Nothing, spaces, line ends.
    "",
    " ",
    "  ",
    "   ",
    " " * 7,
    " " * 33,
    "\n",
    "\n\n",
    "\n\n\n\n",
    "\r\n",
    "\r\n\r\n",
    "\t",
    "\t\t\t",
    " \t \n \t ",
    "a\n",
    "\na",
    " a",
    "a ",
    "a  b",
    "a   b    c",
    "  leading and trailing  ",
    "line one\nline two\n\n  indented\n\ttabbed\n",
    "no-break\u00a0space, thin\u2009space, ideographic\u3000space",
    "\u2028line\u2029paragraph separators",
    "\u0085next line",
    "zero\u200bwidth\u200cnon\u200djoiners\ufeff",
    "\u180emongolian vowel separator",
    "ogham\u1680space \u202fnarrow",
    "form\ffeed\vvertical",
    # Prose.
    "Hello, world!",
    "The capital of France is",
    "Once upon a time, in a land far away, there lived a king.",
    "I'm sure they've said we'll go; he'd know it's John's.",
    "I'M SURE THEY'VE SAID WE'LL GO",
    "don't can't won't 'tis 'twas o'clock rock'n'roll",
    "'s't're've'm'll'd",
    "’s curly ’re quotes “like these” ‘and these’",
    "Mr. Smith (born 1970) -- or was it 1971? -- left...",
    "semi-detached, twenty-one, co-operate_with_underscores",
    "ALL CAPS AND camelCase AND PascalCase AND snake_case",
    "antidisestablishmentarianism pneumonoultramicroscopicsilicovolcanoconiosis",
    "buffalo buffalo Buffalo buffalo",
    "!?!?!?...,,,;;;:::---___",
    "e.g. i.e. etc. a.k.a. U.S.A.",
    # Digits.
    "0",
    "7",
    "42",
    "1234567890",
    "3.14159265358979",
    "1,000,000.00",
    "-1e-10 +2E+20",
    "0x1F 0b1010 0o777",
    "2024-02-29T23:59:59Z",
    "v1.2.3-rc4+build5",
    "abc123def456",
    "123abc",
    "1 2  3   4",
    "²³¹ ½ ¼ Ⅷ ① ٣٤٥ १२३ 一二三",
    "٠١٢٣٤٥٦٧٨٩",
    "50% off, $9.99, €10, £5, ¥100",
    "x²+y²=z²",
    # Other scripts.
    "Ein schöner Tag für große Übungen, weiß der Geier",
    "C'est déjà l'été à l'école, où ça?",
    "El niño comió piñas; ¿cuándo? ¡Ahora!",
    "Zażółć gęślą jaźń",
    "Příliš žluťoučký kůň úpěl ďábelské ódy",
    "Ünlü şairin çığlığı İstanbul'da",
    "Быстрая коричневая лиса прыгает через ленивую собаку",
    "Γεια σου Κόσμε, τι κάνεις;",
    "שלום עולם",
    "مرحبا بالعالم، كيف حالك؟",
    "नमस्ते दुनिया",
    "สวัสดีชาวโลก",
    "Xin chào thế giới",
    "გამარჯობა მსოფლიო",
    "Բարեւ աշխարհ",
    "ሰላም ልዑል",
    "你好，世界！",
    "我爱北京天安门，天安门上太阳升。",
    "繁體中文與简体中文",
    "こんにちは、世界。カタカナとひらがなと漢字",
    "안녕하세요 세계, 한국어입니다",
    "ᏣᎳᎩ ᎦᏬᏂᎯᏍᏗ",
    "mixed 中文 and English 和数字123",
    "中 文 间 隔",
    # Combining marks and normal forms.
    "é e\u0301 ñ n\u0303",
    "Z\u0351\u036b\u0343a\u0321l\u034fg\u0329o\u0331",
    "\u0301leading combining mark",
    "ﬁ ligature ﬀ ﬃ",
    "Å Å Å",
    "ｆｕｌｌｗｉｄｔｈ　ｔｅｘｔ１２３",
    # Symbols and emoji.
    "😀",
    "😀😃😄",
    "I ❤️ NY 🗽",
    "👍🏽 👩‍👩‍👧‍👦 🏳️‍🌈 🇩🇪🇫🇷",
    "🧑🏿‍🚀 to the 🌕!!",
    "∀x∈ℝ: ⌈x⌉ = −⌊−x⌋, α ∧ ¬β = ¬(¬α ∨ β)",
    "∫₀^∞ e^{-x²} dx = √π/2",
    "𝕌𝕟𝕚𝕔𝕠𝕕𝕖 𝓼𝓬𝓻𝓲𝓹𝓽 𝟘𝟙𝟚",
    "← ↑ → ↓ ⇒ ⇔",
    "┌─┬─┐│ ││├─┼─┤└─┴─┘",
    "★☆♠♥♦♣♪♫",
    "…–—•·†‡",
    "\u202eright-to-left override\u202c",
    "©®™℠№℡",
    "\ue000private use\uf8ff",
    "\U0010ffff last code point",
    "\ufffd replacement",
    # Control characters.
    "\x00",
    "a\x00b",
    "\x01\x02\x03",
    "bell\x07 backspace\x08 escape\x1b[31mred\x1b[0m",
    "\x7fdelete",
    "\x80\x9f C1 controls",
    # Code.
    "def f(x):\n    return x + 1\n",
    "for (int i = 0; i < n; ++i) {\n\tsum += a[i];\n}\n",
    "#include <vector>\nstd::vector<std::pair<int, float>> v{{1, 2.0f}};",
    "if (a && b || !c) { x ^= ~y | z << 3; }",
    "SELECT * FROM users WHERE name = 'O''Brien' AND age >= 21;",
    '{"key": [1, 2.5, null, true], "nested": {"a": "b\\n"}}',
    '<html>\n  <body class="x">&nbsp;&lt;</body>\n</html>',
    'git commit -m "fix: off-by-one" && git push --force-with-lease origin main',
    "$ ls -la | grep '^d' | awk '{print $9}' > /dev/null 2>&1",
    "\\begin{equation} E = mc^2 \\end{equation}",
    "func.func @f(%x: tensor<?x4096xf32>) -> tensor<4xf32> attributes {a}",
    "lambda x: x**2 if x % 2 == 0 else x // 2",
    "        deep\n            deeper\n                deepest",
    "\tif x:\n\t\tpass\n",
    "/* comment */ // another\n# third",
    "a->b.c[d]::e<f>()",
    "===== ----- ***** ##### +++++ ~~~~~",
    "== != <= >= => -> <- := ... ?? ?. ||= **=",
    "\"\"\"docstring\"\"\" '''other''' `back` ```fence```",
    'std::cout << "Hello\\tWorld\\n" << std::endl;',
    # Addresses.
    "https://example.com/path/to/page?query=1&other=%20two#fragment",
    "user.name+tag@mail.example.org",
    "http://[2001:db8::1]:8080/",
    "C:\\Windows\\System32\\drivers\\etc\\hosts",
    "/usr/share/common-licenses/Artistic",
    "192.168.0.1/24",
    "550e8400-e29b-41d4-a716-446655440000",
    "SGVsbG8sIFdvcmxkIQ==",
    "deadbeefCAFEBABE0123456789",
    # What looks like control tokens.
    "<|im_start|>",
    "<|im_end|>",
    "<|endoftext|>",
    "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n",
    "text<|endoftext|>more",
    " <|im_start|> ",
    "<|im_start|",
    "<|unknown|> <s> </s> [INST] [/INST] <unk> <pad>",
    "<repo_name>lowbit<file_sep>a.py",
    "<reponame><filename><gh_stars>",
    "<jupyter_start><jupyter_text><empty_output>",
    # Long runs.
    "a" * 100,
    "ab" * 64,
    "=" * 80,
    "!" * 50,
    "9" * 30,
    "\n" * 20,
    "\t" * 20,
    "é" * 40,
    "🙂" * 12,
    "the " * 40,
    "ha" * 33 + "!",
    "Aa" * 20,
]


def drawn(count: int) -> list[str]:
    """Random strings: mixtures of the written ones' pieces, and of any characters."""
    generator = random.Random(0)
    ranges = [(0x20, 0x7E)] * 6 + [(0xA0, 0x24F), (0x370, 0x52F), (0x590, 0x6FF), (0x900, 0x97F)]
    ranges += [
        (0x2000, 0x22FF),
        (0x3040, 0x30FF),
        (0x4E00, 0x9FFF),
        (0xAC00, 0xD7A3),
        (0x1F300, 0x1F6FF),
    ]
    out = []
    for number in range(count):
        if number % 2:
            pieces = [generator.choice(WRITTEN)[:12] for _ in range(generator.randint(2, 6))]
            out.append(generator.choice(["", " ", "  ", "\n"]).join(pieces))
        else:
            chosen = [generator.choice(ranges) for _ in range(generator.randint(5, 40))]
            out.append("".join(chr(generator.randint(*bounds)) for bounds in chosen))
    return out


def main() -> None:
    from llama_cpp import Llama

    texts = list(dict.fromkeys(WRITTEN))
    texts += drawn(COUNT - len(texts))
    assert len(set(texts)) == COUNT
    model = Llama(sys.argv[1], vocab_only=True, verbose=False)
    cases = []
    for text in texts:
        # add_bos is llama.cpp's add_special: what the file's metadata asks for, here nothing.
        ids = model.tokenize(text.encode("utf-8"), add_bos=True, special=False)
        cases.append({"text": text, "ids": ids})
    path = Path(__file__).parents[1] / "test/python/data/tokenization.json"
    header = {
        "model": Path(sys.argv[1]).name,
        "oracle": f"llama-cpp-python {version('llama-cpp-python')}",
    }
    # One case a line, so that a change shows as one.
    lines = ",\n".join(json.dumps(case) for case in cases)
    path.write_text(f'{json.dumps(header)[:-1]}, "cases": [\n{lines}\n]}}\n')
    print(f"{len(cases)} cases in {path}")


if __name__ == "__main__":
    main()
