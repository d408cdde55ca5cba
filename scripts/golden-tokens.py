#!/usr/bin/env python3
"""The tokens of 10,000 lines of mixed text, as the reference libraries make them of a GGUF file.

    python -m venv a && a/bin/pip install -r scripts/fixtures-requirements.txt
    a/bin/python scripts/golden-tokens.py MODEL.gguf FOLDER
    KGBUILD_TEST_MODEL=FOLDER cargo test --release --test models -- --ignored named

FOLDER gets a link to the file and tokens.jsonl: texts of words, names and numbers in several scripts,
of signs, white space and emoji, drawn with a fixed seed.
"""

import json
import random
import sys

sys.dont_write_bytecode = True

from fixtures.reference import named, tokenizer

LINES = 10_000
WORDS = """the of capital river was born in founded mountain Zürich Łódź São Tomé naïve façade Ångström
don't it's they'll I'd WE'RE O'Brien state-of-the-art e.g. U.S.A. https://example.org/a?b=c x=1; {"key": [1,2]}
Москва является столицей Санкт-Петербург город Київ Ελλάδα Αθήνα είναι עברית ירושלים العربية القاهرة مصر
हिन्दी दिल्ली বাংলা தமிழ் ไทย กรุงเทพ 東京は日本の首都です 北京 上海市 서울 대한민국 ñandú Đà Nẵng
straße ﬁnance ½ ² ™ € £ ¥ … — – “quoted” ‘single’ «guillemets» 👍 👩‍🔬 🇫🇷 🏳️‍🌈 😀 e\u0301 A\u030a
def f(x): return x**2 # comment // other <html> </div> &amp; \\n snake_case camelCase SCREAMING_CASE""".split()


def line(draw):
    parts = []
    for _ in range(draw.randrange(1, 12)):
        kind = draw.randrange(12)
        if kind < 7:
            word = draw.choice(WORDS)
            parts.append(draw.choice([word, word, word.upper(), word.capitalize()]))
        elif kind == 7:
            parts.append(str(draw.randrange(10 ** draw.randrange(1, 9))))
        elif kind == 8:
            parts.append(f"{draw.randrange(10**6):,}.{draw.randrange(100):02}")
        elif kind == 9:
            parts.append(draw.choice(["\n", "\n\n", "\t", "  ", "   ", "\r\n", " \n ", "\u00a0", "\u3000"]))
        elif kind == 10:
            parts.append("".join(draw.choices("!?.,;:-_()[]{}<>/\\|@#$%^&*+=~`'\"", k=draw.randrange(1, 6))))
        else:
            letter = chr(draw.choice([0x41, 0x61, 0xC0, 0x3B1, 0x410, 0x5D0, 0x905, 0x4E00, 0xAC00, 0x1F600])
                         + draw.randrange(24))
            parts.append(letter * draw.randrange(1, 4))
        parts.append(draw.choice([" ", " ", " ", " ", "", "  "]))
    return "".join(parts)


def main():
    source, folder = named(__doc__)
    draw, tokens = random.Random(20_230_127), tokenizer(source)
    with (folder / "tokens.jsonl").open("w") as out:
        for _ in range(LINES):
            text = line(draw)
            out.write(json.dumps({"text": text, "ids": tokens(text)}, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
